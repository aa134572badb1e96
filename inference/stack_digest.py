"""A short name for where an exception came from, so that equal crashes can be counted together."""

import hashlib
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

DIGEST_CHARS = 12
CATCHERS = frozenset({"inference.runner", "inference.trial"})
"""Modules that catch what an event makes an engine raise; how often they tried is no difference."""
MOST_CAUSES = 4


def stack_digest(error: BaseException, *, catcher: str | None = None) -> str:
    """Return a digest of an exception's type and the functions that it came through.

    Neither messages nor line numbers count: a message may name the event, and lines move with every
    release. Explicit causes (``raise … from``) count as well. An error that brings a digest of its
    own (``stack_digest``), as from another process, keeps it.

    Args:
        error: Was raised and caught.
        catcher: The module that caught it, beside those that always do.
    """
    own = getattr(error, "stack_digest", None)
    if isinstance(own, str):
        return own
    return digest_of(
        [
            "\n".join((_type_name(each), *frames_of(each.__traceback__, catcher)))
            for each in _causes(error)
        ]
    )


def digest_of(told: Sequence[str]) -> str:
    """Return the digest of what tells a crash from others."""
    return hashlib.sha256("\n\n".join(told).encode()).hexdigest()[:DIGEST_CHARS]


def frames_of(traceback: TracebackType | None, catcher: str | None = None) -> list[str]:
    """Return ``module:function`` of each call, the innermost last, from below what caught it."""
    catchers = CATCHERS | {catcher}
    modules, names = [], []
    while traceback is not None:
        frame = traceback.tb_frame
        modules.append(str(frame.f_globals.get("__name__", "?")))
        names.append(f"{modules[-1]}:{frame.f_code.co_qualname}")
        traceback = traceback.tb_next
    below = max((place for place, name in enumerate(modules) if name in catchers), default=-1) + 1
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
