"""The app ``sessions``: results of speech become the running state of their session."""

import time
from collections.abc import Callable, Iterator

import msgspec

from schemas.results import Classification
from schemas.session_state import encode_session
from streams.apps.keyed import KeyedApp, Step, Wake
from streams.apps.talk import Said, Talk, TalkSettings, fall_silent, hear, said_in, state_of

_PART = msgspec.json.Decoder(Said | float)
_STATE = msgspec.json.Decoder(Talk)


def sessions(
    settings: TalkSettings | None = None, *, clock: Callable[[], float] = time.time
) -> KeyedApp:
    """Return the app; its table holds the newest segments of each session.

    Args:
        settings: What is made of segments.
        clock: Unix seconds; silence begins by it, and is over by that of the runtime.
    """
    chosen = settings or TalkSettings()

    def spread(result: Classification) -> Iterator[tuple[str, bytes]]:
        if result.session_id:
            said = said_in(result, chosen, clock())
            yield result.session_id, msgspec.json.encode(said)

    def step(session: str, state: bytes | None, part: bytes) -> Step | None:
        before = Talk() if state is None else _STATE.decode(state)
        new = _PART.decode(part)
        if not isinstance(new, Said):
            silent = fall_silent(before, new, chosen)
            return None if silent is None else Step(msgspec.json.encode(silent))
        talk = hear(before, new, chosen)
        if talk is None:
            return None
        published = encode_session(state_of(session, talk, chosen))
        return Step(msgspec.json.encode(talk), (published,))

    def wake(_: str, state: bytes) -> Wake | None:
        talk = _STATE.decode(state)
        at = talk.heard + chosen.keep_s
        return Wake(at, msgspec.json.encode(at)) if talk.kept else None

    inputs = ("results.transcripts",)
    return KeyedApp("sessions", inputs, "sessions.transcripts", spread, step, wake)
