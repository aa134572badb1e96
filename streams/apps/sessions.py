"""The app ``sessions``: results of speech become the running state of their session."""

from collections.abc import Iterator

import msgspec

from schemas.results import Classification
from schemas.session_state import encode_session
from streams.apps.keyed import KeyedApp, Step
from streams.apps.talk import Said, Talk, TalkSettings, hear, said_in, state_of

_PART = msgspec.json.Decoder(Said)
_STATE = msgspec.json.Decoder(Talk)


def sessions(settings: TalkSettings | None = None) -> KeyedApp:
    """Return the app; its table holds the newest segments of each session."""
    chosen = settings or TalkSettings()

    def spread(result: Classification) -> Iterator[tuple[str, bytes]]:
        if result.session_id:
            yield result.session_id, msgspec.json.encode(said_in(result, chosen.polarities))

    def step(session: str, state: bytes | None, part: bytes) -> Step | None:
        talk = hear(Talk() if state is None else _STATE.decode(state), _PART.decode(part), chosen)
        if talk is None:
            return None
        published = encode_session(state_of(session, talk, chosen))
        return Step(msgspec.json.encode(talk), (published,))

    return KeyedApp("sessions", ("results.transcripts",), "sessions.transcripts", spread, step)
