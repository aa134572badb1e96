"""What of the records that a webhook reads is to be delivered."""

from dataclasses import dataclass
from typing import Any

from schemas.derived import Alert
from schemas.errors import ConfigurationError
from schemas.events import Modality
from schemas.fused import Fused
from schemas.records import Record
from schemas.session_state import SessionState
from streams.subscription.filters import AnyOf, Choosing
from streams.subscription.kinds import KINDS, Kind
from streams.subscription.seen import Seen
from streams.topics import TopicKind, kind_of
from streams.webhooks.settings import Webhook

_CHOICES = tuple(kind for kind in KINDS if kind is not TopicKind.DEAD_LETTERS)


@dataclass(frozen=True, slots=True)
class Picked:
    """A record that is to be delivered.

    Attributes:
        name: The same whenever the same comes again.
        value: What it holds.
    """

    record: Record
    name: str
    value: Any


class Picker:
    """Reads records, and picks what a webhook wants.

    Args:
        webhook: Whose.

    Raises:
        ConfigurationError: Its filters or its format do not fit its topics.
    """

    def __init__(self, webhook: Webhook) -> None:
        self._again = webhook.again
        self._wanted = _wanted(webhook, KINDS[_kind(webhook)])

    def pick(self, record: Record, seen: Seen) -> Picked | None:
        """Return what is to be delivered of a record; ``None`` if it is not wanted, or not new.

        What comes from the dead letters was wanted once, and is delivered as often as it is sent.

        Raises:
            ContractError: It is none of the kind.
        """
        picked = self.read(record)
        if record.topic == self._again or self._wanted.is_chosen(picked.value, record, seen):
            return picked
        return None

    def read(self, record: Record) -> Picked:
        """Read a record, wanted or not; raises as :meth:`pick`."""
        return Picked(record, name_of(record), self._wanted.decode(record))


def name_of(record: Record) -> str:
    """Return the CloudEvents id of a record, or where it lies if it has none."""
    for name, value in record.headers:
        if name == "ce_id" and value:
            return value.decode("utf-8", "replace")
    return f"{record.topic}:{record.partition}:{record.offset}"


def modality_of(value: Any) -> Modality:
    """Tell what it is about, for its dead letter."""
    if isinstance(value, Alert):
        return Modality.TRANSCRIPT if value.scope == "session" else Modality.CAMERA
    if isinstance(value, SessionState):
        return Modality.TRANSCRIPT
    if isinstance(value, Fused):
        return next(iter(value.parts), Modality.NEWS)
    found: Modality = getattr(value, "modality", Modality.NEWS)
    return found


def event_id_of(value: Any) -> str | None:
    """Name what a dead letter is about, for people."""
    names = ("event_id", "session_id", "id")
    return next((getattr(value, name) for name in names if hasattr(value, name)), None)


def _kind(webhook: Webhook) -> TopicKind:
    kinds = {kind_of(topic): topic for topic in webhook.topics}
    for kind, topic in kinds.items():
        if kind not in _CHOICES:
            prefixes = ", ".join(KINDS[one].named for one in _CHOICES)
            raise ConfigurationError(
                f"webhooks.{webhook.name}.topics: {topic!r} holds nothing that can be posted; name "
                f"topics such as {prefixes}"
            )
    if len(kinds) > 1:
        raise ConfigurationError(
            f"webhooks.{webhook.name}.topics: {' and '.join(sorted(kinds))} are of several kinds; "
            "make a webhook of its own for each kind"
        )
    (kind,) = kinds
    if webhook.format.is_for_alerts and kind is not TopicKind.ALERTS:
        raise ConfigurationError(
            f"webhooks.{webhook.name}.format: {webhook.format} is for alerts, and "
            f"{webhook.topics[0]} holds {kind}; use the format cloudevents"
        )
    return kind


def _wanted(webhook: Webhook, kind: Kind) -> Choosing[Any]:
    fields = {one.field: one for one in kind.wanted.FILTERS.values()}
    given: dict[str, Any] = {}
    for name, value in webhook.filters.items():
        where = f"webhooks.{webhook.name}.filters.{name}"
        if name not in fields:
            raise ConfigurationError(
                f"{where}: is no filter of {kind.named}; there are {', '.join(sorted(fields))}"
            )
        many = isinstance(fields[name], AnyOf)
        if many is not isinstance(value, tuple):
            wants = 'a list, such as ["a"]' if many else "one value"
            raise ConfigurationError(f"{where}: value is {repr(value)[:100]}; give {wants}")
        texts = [str(one) for one in value] if isinstance(value, tuple) else [str(value)]
        given[name] = fields[name].read(texts)
    try:
        return kind.wanted(**given)
    except ConfigurationError as error:
        raise ConfigurationError(f"webhooks.{webhook.name}.filters.{error}") from None
