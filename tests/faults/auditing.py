"""Compares every input record with every answer and every committed offset."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from tests.faults.reading import Answer, Event
from tests.faults.sampling import Sample

IN_TIME = frozenset({"on_time", "degraded"})
SETTLE_MS = 3_000.0
"""So long after a fault a verdict may still have been overtaken by it."""
LIES_SHARE = 0.01
"""Of the answers that say in time, those that may not have been, away from faults: a machine that
is shared stalls now and then, and a verdict cannot be taken back."""
EXAMPLES = 200
NEVER = float("inf")
_Origin = tuple[int, int]
Window = tuple[float, float]
"""Wall clock in milliseconds, from and to."""


@dataclass(frozen=True)
class Promises:
    """What is held against the answers.

    Attributes:
        exactly_once: Readers of committed records get every answer once.
        ordered: Answers of a key come in the order of its events.
    """

    exactly_once: bool = False
    ordered: bool = False


@dataclass
class Findings:
    """What the audit found.

    Attributes:
        lost: Events without an answer.
        doubled: Answers beyond the first of an event, as readers of committed records get them.
        doubled_uncommitted: Likewise of readers who also get what was aborted.
        other_ids: Events whose results differ in their id.
        both: Events with a result and a dead letter.
        wrong_end: Events that ended otherwise than they had to.
        strangers: Answers to no event.
        reordered: Answers behind one to a later event of the same key.
        ahead: Samples in which an offset was committed past an event without an answer.
        went_back: Samples in which a committed offset was lower than before.
        samples: How many were taken.
        unfinished: Partitions whose last event is not committed.
        verdicts: Of the first answers.
        letters: Dead letters by error, likewise.
        lies: First answers that say in time and were appended after the deadline.
        lies_undisturbed: Of these, those with no fault near.
        worst_lie_ms: How long after it, with no fault near.
        missing_input: Records that the broker acknowledged and does not hold.
        examples: Of each finding, the first few.
    """

    events: int = 0
    answers: int = 0
    lost: int = 0
    doubled: int = 0
    doubled_uncommitted: int = 0
    other_ids: int = 0
    both: int = 0
    wrong_end: int = 0
    strangers: int = 0
    reordered: int = 0
    ahead: int = 0
    went_back: int = 0
    samples: int = 0
    unfinished: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    lies: int = 0
    lies_undisturbed: int = 0
    worst_lie_ms: float = 0.0
    missing_input: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    def note(self, name: str, example: object, count: int = 1) -> None:
        """Count, and keep the first of its kind to look at."""
        setattr(self, name, getattr(self, name) + count)
        kept = self.examples.setdefault(name, [])
        if len(kept) < EXAMPLES:
            kept.append(str(example))

    def broken(self, promises: Promises) -> list[str]:
        """Name the promises that were broken."""
        never = ["lost", "other_ids", "both", "wrong_end", "strangers", "ahead", "unfinished"]
        if promises.exactly_once:
            never.append("doubled")
        if promises.ordered:
            never.append("reordered")
        found = [name for name in never if getattr(self, name)]
        told_in_time = sum(self.verdicts[verdict] for verdict in IN_TIME)
        if self.lies_undisturbed > LIES_SHARE * told_in_time:
            found.append("lies_undisturbed")
        return found


def audit(
    events: Sequence[Event],
    answers: Sequence[Answer],
    *,
    uncommitted: Sequence[Answer] = (),
    samples: Sequence[Sample] = (),
    disturbed: Iterable[Window] = (),
    acknowledged: Iterable[_Origin] = (),
) -> Findings:
    """Match them all.

    Args:
        events: Every input record.
        answers: What a reader of committed records gets.
        uncommitted: What a reader gets who does not ask for that.
        samples: The group's committed offsets, in the order of time.
        disturbed: When faults were at work, in milliseconds.
        acknowledged: Partition and offset of what the producer was told is safe.
    """
    found = Findings(events=len(events), answers=len(answers), samples=len(samples))
    known = {(event.partition, event.offset): event for event in events}
    found.missing_input = len(set(acknowledged).difference(known))
    of_event: dict[_Origin, list[Answer]] = defaultdict(list)
    for answer in answers:
        origin = answer.partition, answer.offset
        if origin in known:
            of_event[origin].append(answer)
        else:
            found.note("strangers", answer)
    windows = _merged(disturbed)
    for origin, event in known.items():
        _judge(found, event, sorted(of_event[origin], key=lambda one: one.at_ms), windows)
    counts = Counter((one.partition, one.offset) for one in uncommitted)
    found.doubled_uncommitted = sum(counts.values()) - len(counts)
    _check_order(found, known, answers)
    _check_commits(found, events, of_event, samples)
    return found


def _judge(found: Findings, event: Event, answers: list[Answer], windows: list[Window]) -> None:
    """Look at what became of one event."""
    if not answers:
        found.note("lost", event)
        return
    first = answers[0]
    if len(answers) > 1:
        found.note("doubled", (event, answers), len(answers) - 1)
    if first.ends == "result":
        found.verdicts[first.verdict] += 1
    else:
        found.letters[first.ends] += 1
    ends = {answer.ends for answer in answers}
    if "result" in ends and len(ends) > 1:
        found.note("both", (event, answers))
    if first.ends != event.expect:
        found.note("wrong_end", (event, first))
    if len({answer.id for answer in answers if answer.ends == "result"}) > 1:
        found.note("other_ids", answers)
    over_ms = first.at_ms - event.at_ms - first.budget_ms
    if first.verdict in IN_TIME and over_ms > 0:
        found.lies += 1
        if not _touches(windows, event.at_ms, first.at_ms):
            found.worst_lie_ms = max(found.worst_lie_ms, over_ms)
            found.note("lies_undisturbed", (event, first))


def _check_order(found: Findings, known: dict[_Origin, Event], answers: Sequence[Answer]) -> None:
    """Go through each results partition in its own order; repetitions do not count."""
    newest: dict[tuple[int, bytes | None], int] = {}
    seen: set[_Origin] = set()
    for answer in sorted((one for one in answers if one.verdict), key=lambda one: one.place):
        origin = answer.partition, answer.offset
        event = known.get(origin)
        if event is None or origin in seen:
            continue
        seen.add(origin)
        key = event.partition, event.key
        if answer.offset < newest.get(key, -1):
            found.note("reordered", (event, answer))
        newest[key] = max(newest.get(key, -1), answer.offset)


def _check_commits(
    found: Findings,
    events: Sequence[Event],
    of_event: dict[_Origin, list[Answer]],
    samples: Sequence[Sample],
) -> None:
    """Hold: by the time that an offset was seen as committed, all before it had been answered."""
    offsets: dict[int, list[int]] = defaultdict(list)
    for event in sorted(events, key=lambda one: (one.partition, one.offset)):
        offsets[event.partition].append(event.offset)
    first_ms = {
        origin: min(one.at_ms for one in answers) for origin, answers in of_event.items() if answers
    }
    all_ms = {
        partition: list(accumulate((first_ms.get((partition, one), NEVER) for one in held), max))
        for partition, held in offsets.items()
    }
    last: dict[int, int] = {}
    for sample in samples:
        for partition, committed in sample.committed.items():
            before = bisect_left(offsets[partition], committed)
            if before and all_ms[partition][before - 1] > sample.at * 1e3:
                found.note("ahead", (partition, committed, sample.at))
            if committed < last.get(partition, 0):
                found.note("went_back", (partition, committed, last[partition], sample.at))
            last[partition] = committed
        for origin in sample.finished:
            if first_ms.get(origin, NEVER) > sample.at * 1e3:
                found.note("ahead", (origin, "in the metadata", sample.at))
    for partition, held in offsets.items():
        if samples and held and last.get(partition, 0) <= held[-1]:
            found.note("unfinished", (partition, last.get(partition), held[-1] + 1))


def _merged(windows: Iterable[Window]) -> list[Window]:
    merged: list[Window] = []
    for begin, end in sorted(windows):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged


def _touches(windows: list[Window], begin: float, end: float) -> bool:
    at = bisect_left(windows, (begin, NEVER))
    before = at > 0 and windows[at - 1][1] >= begin
    return before or (at < len(windows) and windows[at][0] <= end)
