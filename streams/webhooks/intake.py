"""Takes in what a webhook's topics hold: an offset ends at once, or when its delivery has."""

from collections.abc import Sequence
from functools import partial

import structlog
from aiokafka import ConsumerRecord

from schemas.errors import ContractError
from streams import metrics
from streams.consumed import to_record
from streams.offsets import Ledger, OffsetTracker
from streams.subscription.seen import Seen
from streams.webhooks.delivering import Deliveries
from streams.webhooks.picking import Picker

log = structlog.get_logger(__name__)


class WebhookIntake:
    """Hands on to deliveries what a webhook wants; how much that may be, the ledger bounds.

    Args:
        name: Of the webhook.
        picker: Says what is wanted.
        deliveries: Take records to their ends.
        ledger: Is told of those ends.
    """

    is_full = False
    has_room_again = True

    def __init__(self, name: str, picker: Picker, deliveries: Deliveries, ledger: Ledger) -> None:
        self._name = name
        self._picker = picker
        self._deliveries = deliveries
        self._ledger = ledger
        self._seen: dict[OffsetTracker, Seen] = {}

    def admit(self, records: Sequence[ConsumerRecord], tracker: OffsetTracker) -> None:
        """Begin deliveries of records of one partition, in their order."""
        seen = self._seen.setdefault(tracker, Seen())
        for consumed in records:
            self._take(consumed, tracker, seen)

    def withdraw_all(self) -> None:
        """Forget what was seen: what was given up must be new to whoever has it next."""
        self._seen.clear()

    def _take(self, consumed: ConsumerRecord, tracker: OffsetTracker, seen: Seen) -> None:
        record = to_record(consumed)
        ended = partial(self._ledger.complete, tracker, record.offset)
        try:
            picked = self._picker.pick(record, seen)
        except ContractError as error:
            where = f"{record.topic}/{record.partition}/{record.offset}"
            log.warning("passed_over", webhook=self._name, at=where, error=str(error))
            metrics.WEBHOOK_PASSED_OVER.labels(self._name).inc()
            ended()
            return
        if picked is None:
            ended()
        else:
            self._deliveries.begin(picked, ended)
