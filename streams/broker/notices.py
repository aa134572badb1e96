"""Lines for the person who started a broker."""

import click


def say(line: str) -> None:
    """Write one line to stderr."""
    click.secho(f"headrace: {line}", err=True, dim=True)
