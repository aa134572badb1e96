"""How long a killed worker's partitions stood still."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.injecting import Done
from tests.faults.reading import Answer, Event
from tests.faults.schedule import ON_INPUT, Fault, Kind

UNREST_MS = 1_500.0
"""A fault that was over so long before a kill no longer counts as near."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """One kill.

    Attributes:
        seconds: Until each of its partitions had an answer to an event sent after the kill;
            ``None`` where one never had.
        alone: No other fault that could have held it up went on meanwhile.
    """

    fault: Fault
    partitions: int
    seconds: float | None
    alone: bool


def recoveries(
    done: Sequence[Done], events: Sequence[Event], answers: Sequence[Answer]
) -> list[Recovery]:
    """Measure every kill of a worker that had partitions."""
    sent_ms = {(event.partition, event.offset): event.at_ms for event in events}
    flows: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for answer in answers:
        origin = answer.partition, answer.offset
        if origin in sent_ms:
            flows[answer.partition].append((answer.at_ms, sent_ms[origin]))
    for flow in flows.values():
        flow.sort()
    return [
        _recovery(one, done, flows)
        for one in sorted(done, key=lambda one: one.fault.number)
        if one.fault.kind is Kind.KILL and one.owned
    ]


def _recovery(
    kill: Done, done: Sequence[Done], flows: dict[int, list[tuple[int, int]]]
) -> Recovery:
    killed_ms = kill.began * 1e3
    again_ms = 0.0
    for partition in kill.owned:
        after = (at for at, sent in flows[partition] if at > killed_ms and sent > killed_ms)
        again_ms = max(again_ms, next(after, float("inf")))
    if again_ms == float("inf"):
        return Recovery(kill.fault, len(kill.owned), None, alone=False)
    alone = not any(
        other is not kill
        and other.fault.kind not in ON_INPUT
        and other.began * 1e3 < again_ms
        and other.ended * 1e3 > killed_ms - UNREST_MS
        for other in done
    )
    return Recovery(kill.fault, len(kill.owned), (again_ms - killed_ms) / 1e3, alone)
