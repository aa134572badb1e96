"""A short name for where an exception came from, so that equal crashes can be counted together."""

import hashlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any

DIGEST_CHARS = 12
CATCHERS = frozenset({"inference.runner", "streams.ingress"})
"""Modules that catch what an event makes others raise; how often they tried is no difference."""
MOST_CAUSES = 4


def stack_digest(error: BaseException) -> str:
    """Return a digest of an exception's type and the functions that it came through.

    Neither messages nor line numbers count: a message may name the event, and lines move with every
    release. Explicit causes (``raise … from``) count as well.
    """
    told = [
        "\n".join((_type_name(each), *frames_of(each.__traceback__))) for each in _causes(error)
    ]
    return digest_of(told)


def digest_of(told: list[str]) -> str:
    """Return the digest of what tells a crash from others."""
    return hashlib.sha256("\n\n".join(told).encode()).hexdigest()[:DIGEST_CHARS]


def frames_of(traceback: TracebackType | None) -> list[str]:
    """Return ``module:function`` of each call, the innermost last, from below what caught it."""
    modules, names = [], []
    while traceback is not None:
        frame = traceback.tb_frame
        modules.append(str(frame.f_globals.get("__name__", "?")))
        names.append(f"{modules[-1]}:{frame.f_code.co_qualname}")
        traceback = traceback.tb_next
    below = max((place for place, name in enumerate(modules) if name in CATCHERS), default=-1) + 1
    return names[below:] or names[-1:]


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if found is None:
            return
        yield found
        found = found.__cause__


def _type_name(error: Any) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"
