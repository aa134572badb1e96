"""One record of a dead letter topic, as conditions, tables and scripts see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from schemas.cloudevents import RESERVED_PREFIX
from schemas.errors import ConfigurationError, ContractError
from schemas.kafka import Record, decode_dead_letter
from schemas.results import DeadLetter, Source
from streams.tail.reading import Condition

POSITIONS = ("partition", "offset", "redriven")
"""What is known of a letter beside what its headers say."""
FIELDS = (
    *(name for name in DeadLetter.__struct_fields__ if name != "source"),
    *(f"source_{name}" for name in Source.__struct_fields__),
    *POSITIONS,
)
"""What ``--where`` can ask for."""


@dataclass(frozen=True)
class Found:
    """A record of a dead letter topic.

    Attributes:
        record: As it lies there.
        redriven: It was sent in again before.
    """

    record: Record
    redriven: bool

    @cached_property
    def read(self) -> DeadLetter | ContractError:
        """What the headers say, or why they say nothing."""
        try:
            return decode_dead_letter(self.record)
        except ContractError as error:
            return error

    @property
    def letter(self) -> DeadLetter | None:
        """What the headers say, if it is a letter."""
        return self.read if isinstance(self.read, DeadLetter) else None

    @property
    def position(self) -> str:
        """Where it lies, as ``headrace dlq show`` takes it: ``PARTITION/OFFSET``."""
        return f"{self.record.partition}/{self.record.offset}"

    @property
    def order(self) -> tuple[float, int, int]:
        """By the time of the failure; what is no letter by the time that Kafka knows."""
        record = self.record
        seconds = (record.timestamp_ms or 0) / 1e3
        if self.letter is not None:
            seconds = self.letter.failed_at.timestamp()
        return seconds, record.partition, record.offset

    def without_value(self) -> "Found":
        """Return the same without the original's value and headers, which may be large."""
        own = [one for one in self.record.headers if one[0].startswith(RESERVED_PREFIX)]
        record = msgspec.structs.replace(self.record, value=None, headers=own)
        return Found(record, self.redriven)

    def document(self) -> dict[str, Any]:
        """Return all that is known of it but the original, as one flat JSON object."""
        known: dict[str, Any] = {}
        if self.letter is not None:
            known = msgspec.to_builtins(self.letter)
            known |= {f"source_{name}": value for name, value in known.pop("source").items()}
        return known | {
            "partition": self.record.partition,
            "offset": self.record.offset,
            "redriven": self.redriven,
        }


def wants(found: Found, conditions: Sequence[Condition]) -> bool:
    """Say whether all conditions hold."""
    if not conditions:
        return True
    document = found.document()
    return all(condition.holds(document) for condition in conditions)


def check_fields(conditions: Sequence[Condition]) -> None:
    """Refuse conditions on what no letter has: they would never hold, without a word.

    Raises:
        ConfigurationError: There is one.
    """
    for condition in conditions:
        name = ".".join(condition.path)
        if name not in FIELDS:
            raise ConfigurationError(
                f"--where: {name!r} is no field of a dead letter; choose among " + ", ".join(FIELDS)
            )
