"""Keys of which nothing new has come for long are forgotten, whatever app they are of.

A part gets a stamp when its result is spread, by the wall clock or the event's time, whichever is
later; the state of its key has the latest. When ``after_s`` have gone by since, the key is given a
part of its own, as a wake-up, and its state goes. All that depends on the clock stands in parts: so
steps that are repeated after a crash do the same. A replay forgets by when it reads, not by how old
what it reads is.
"""

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from schemas.results import Classification
from streams.apps.keyed import KeyedApp, Step, Wake

_STAMPED, _FORGET = b"\x00", b"\x01"
"""What parts and states begin with; those of an app itself, which are JSON, never do."""
_STAMP = struct.Struct(">d")
_SIZE = 1 + _STAMP.size


def forgetting(
    app: KeyedApp, after_s: float, *, clock: Callable[[], float] = time.time
) -> KeyedApp:
    """Return the app, which now forgets.

    States and parts of before, which have no stamp, are taken in; a state gets one at once.

    Args:
        app: Whose parts and states begin with neither the byte 0 nor the byte 1.
        after_s: Seconds, longer than anything that is kept can matter.
        clock: Unix seconds.
    """

    def spread(result: Classification) -> Iterator[tuple[str, bytes]]:
        now = clock()
        stamp = min(max(now, result.event_time.timestamp()), now + after_s)
        for key, part in app.spread(result):
            yield key, _stamped(stamp, part)

    def step(key: str, state: bytes | None, part: bytes) -> Step | None:
        since, kept = (None, None) if state is None else _split(state)
        if part.startswith(_FORGET):
            return None if kept is None else _elapse(since, kept, part)
        came, inner = _split(part)
        found = app.step(key, kept, inner)
        if found is None or not found.state:
            return found
        latest = max((one for one in (since, came) if one is not None), default=None)
        return found if latest is None else replace(found, state=_stamped(latest, found.state))

    def _elapse(since: float | None, kept: bytes, part: bytes) -> Step | None:
        (at,) = _STAMP.unpack_from(part, 1)
        if since is None:
            return Step(_stamped(at, kept))
        return Step(b"") if at >= since + after_s else None

    def wake(key: str, state: bytes) -> Wake | None:
        since, kept = _split(state)
        at = clock() if since is None else since + after_s
        sooner = app.wake(key, kept) if app.wake is not None else None
        if sooner is not None and sooner.at <= at:
            return sooner
        return Wake(at, _FORGET + _STAMP.pack(at))

    return replace(app, spread=spread, step=step, wake=wake)


def _stamped(stamp: float, content: bytes) -> bytes:
    return _STAMPED + _STAMP.pack(stamp) + content


def _split(content: bytes) -> tuple[float | None, bytes]:
    if not content.startswith(_STAMPED):
        return None, content
    (stamp,) = _STAMP.unpack_from(content, 1)
    return stamp, content[_SIZE:]
