"""Room for connections: each needs a file descriptor, and systems often start with 1,024."""

import resource

import structlog

BESIDE = 256
"""For brokers, files, and requests that are no streams."""

log = structlog.get_logger(__name__)


def make_room(connections: int) -> None:
    """Raise the process's limit of open files as far as it may, if so many need that."""
    needed = connections + BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < needed:
        log.warning(
            "few_descriptors",
            open_files=most,
            needed=needed,
            remedy="raise the limit of open files (LimitNOFILE), or lower gateway.max_clients",
        )
