"""An event as clients are told it: encoded once, however many they are."""

from collections.abc import Callable, Collection, Hashable
from typing import Any

import msgspec

from schemas.records import Record

Form = Callable[[str, str, bytes], bytes]
"""From an event's name, resume token and JSON to the frame that a connection sends."""

_ENCODER = msgspec.json.Encoder()


class Told:
    """What one record says.

    Args:
        name: What kind of event it is, such as ``result``.
        record: As it was read.
        value: Decoded.
        new_to: The memories to which it is no repetition.
    """

    __slots__ = ("_body", "_frames", "name", "new_to", "record", "value")

    def __init__(
        self, name: str, record: Record, value: Any, new_to: Collection[Hashable] = ()
    ) -> None:
        self.name = name
        self.record = record
        self.value = value
        self.new_to = new_to
        self._body: bytes | None = None
        self._frames: dict[Form, tuple[str, bytes]] = {}

    @property
    def size(self) -> int:
        """About how many bytes its frames have."""
        return len(self.record.value or b"")

    def frame(self, form: Form, token: str) -> bytes:
        """Return it in a form; made once for all who stand at the same place."""
        made = self._frames.get(form)
        if made is not None and made[0] == token:
            return made[1]
        if self._body is None:
            self._body = _ENCODER.encode(self.value)
        frame = form(self.name, token, self._body)
        self._frames[form] = token, frame
        return frame


def server_sent(name: str, token: str, body: bytes) -> bytes:
    """Return a server-sent event."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), token.encode(), body)


def message(name: str, token: str, body: bytes) -> bytes:
    """Return a message of a WebSocket but for its beginning, which names the subscription."""
    return b'"event":"%b","token":"%b","data":%b}' % (name.encode(), token.encode(), body)
