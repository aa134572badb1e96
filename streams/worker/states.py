"""What a worker process and its supervisor agree on."""

EXIT_MISCONFIGURED = 2
"""Exit code of a worker that would end the same way if it were started again."""

State = tuple[bool, str | None]
"""What a worker tells: whether it is ready, and what is wrong with it."""
