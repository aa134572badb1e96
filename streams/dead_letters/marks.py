"""Which dead letters were sent in again: a compacted topic beside them, a mark for each.

A mark is written in one transaction with the event that it stands for, so either both are there or
neither. The offsets of a consumer group could not say that of letters here and there, and are
forgotten after a week.
"""

import orjson

from schemas.kafka import Outbound, Record

MARKS_SUFFIX = ".redriven"


def marks_topic(topic: str) -> str:
    """Name the topic that holds the marks of a dead letter topic."""
    return topic + MARKS_SUFFIX


def mark_of(record: Record, to: str) -> Outbound:
    """Return the mark of a letter that is sent to a topic again."""
    mark = {"timestamp_ms": record.timestamp_ms, "to": to}
    return Outbound(key=_key(record), value=orjson.dumps(mark), headers=[])


class Marks:
    """The letters of one topic that were sent in again."""

    def __init__(self) -> None:
        self._timestamps: dict[bytes, int | None] = {}

    def note(self, mark: Record) -> None:
        """Take note of a mark; what is none is passed over."""
        try:
            told = orjson.loads(mark.value or b"")
            self._timestamps[mark.key or b""] = told["timestamp_ms"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return

    def has(self, record: Record) -> bool:
        """Say whether a letter was sent in again.

        A topic that was deleted and made anew counts its offsets from 0 again: its letters have
        other times than those that the marks are of.
        """
        key = _key(record)
        return key in self._timestamps and self._timestamps[key] == record.timestamp_ms


def _key(record: Record) -> bytes:
    return b"%d/%d" % (record.partition, record.offset)
