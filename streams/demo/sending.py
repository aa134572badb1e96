"""Lines of a log of several modalities to the topics that they belong to."""

from collections import Counter
from collections.abc import Callable, Mapping

import msgspec
import orjson

from schemas.cloudevents import event_type
from schemas.events import Modality
from streams.demo.window import AnswerWindow
from streams.replay.mapping import Mapper, Prepared
from streams.replay.sending import Sender

_Text = Callable[[str, str], None]


class _Type(msgspec.Struct):
    """What a line says that it is."""

    type: str | None = None


class MixedMapper:
    """Lets each line be read as what its CloudEvents type says.

    Args:
        mappers: By modality.
        usual: What a line is that does not say.
    """

    def __init__(self, mappers: Mapping[Modality, Mapper], usual: Modality) -> None:
        self._mappers = mappers
        self._types = {event_type(modality): modality for modality in mappers}
        self._usual = usual

    def prepare(self, line: bytes, number: int) -> Prepared:
        """Make a record of one line.

        Raises:
            UndecodableError: It is not a JSON object.
        """
        try:
            named = msgspec.json.decode(line, type=_Type).type
        except msgspec.MsgspecError:
            named = None  # the mapper says what is wrong with the line
        return self._mappers[self._types.get(named or "", self._usual)].prepare(line, number)


class ModalitySenders:
    """Sends each record to its modality's topic, and keeps the count.

    Args:
        senders: By modality.
        served: The modalities that a worker answers.
        window: Holds events of served modalities back; ``None`` lets the log's own pace rule.
        note_text: Told the id and the text of each event that is sent, for the view.
    """

    def __init__(
        self,
        senders: Mapping[Modality, Sender],
        served: frozenset[Modality],
        window: AnswerWindow | None,
        note_text: _Text,
    ) -> None:
        self._senders = senders
        self._served = served
        self._window = window
        self._note_text = note_text
        self.sent_of: Counter[Modality] = Counter()
        """Events of served modalities."""
        self.unserved = 0
        """Events that wait in their topics, as no model here reads them."""

    @property
    def sent(self) -> int:
        """Events of served modalities, all together."""
        return self.sent_of.total()

    async def send(self, prepared: Prepared) -> None:
        """Send one record.

        Raises:
            OversizedError: It is too large to be sent.
            BrokerError: The broker refused an earlier one.
        """
        served = prepared.modality in self._served
        if served:
            self._note_text(*_id_and_text(prepared))
            if self._window:
                await self._window.enter()
        await self._senders[prepared.modality].send(prepared)
        if served:
            self.sent_of[prepared.modality] += 1
        else:
            self.unserved += 1

    async def drain(self) -> None:
        """Wait until the broker has everything; raises ``BrokerError``."""
        for sender in self._senders.values():
            await sender.drain()


def _id_and_text(prepared: Prepared) -> tuple[str, str]:
    """Read back what is sent: what people are shown is what the worker gets."""
    attributes = {
        name.removeprefix("ce_"): value.decode("utf-8", "replace")
        for name, value in prepared.outbound.headers
        if name.startswith("ce_") and value is not None
    }
    try:
        document = orjson.loads(prepared.outbound.value or b"null")
    except orjson.JSONDecodeError:  # an image as it is
        document = None
    if not isinstance(document, dict):
        document = {}
    data = document.get("data") if "specversion" in document else document
    fields = data if isinstance(data, dict) else {}
    text = fields.get("headline") or fields.get("text") or _of_picture(document, attributes)
    return str(document.get("id") or attributes.get("id") or ""), str(text)


def _of_picture(document: Mapping[str, object], attributes: Mapping[str, str]) -> str:
    """Say in words what cannot be shown on a line; nothing of what is no picture."""
    camera = document.get("cameraid") or attributes.get("cameraid")
    return str(document.get("subject") or (f"a picture of {camera}" if camera else ""))
