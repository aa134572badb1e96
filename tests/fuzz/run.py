"""Feeds drawn records to a worker's own ingress and looks at what becomes of each."""

import base64
import faulthandler
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from aiokafka import ConsumerRecord

from inference.clock import SystemClock
from inference.optimizer import open_model
from schemas.cloudevents import RESERVED_PREFIX
from schemas.errors import HeadraceError
from schemas.events import Modality
from schemas.kafka import (
    decode_dead_letter,
    encode_dead_letter,
    encode_redrive,
)
from schemas.letters import HEADERS_OMITTED
from schemas.limits import DEFAULT_LIMITS
from schemas.records import Record
from streams.lane.ingress import Ingress
from streams.lane.rejecting import Rejected
from streams.lane.sources import Cameras, Transcripts
from streams.offsets import OffsetTracker
from streams.routes import routes_of
from streams.settings import Settings
from streams.worker.loading import load_models
from tests.fuzz.mutating import NOW_MS, Made, Mutator

LARGEST_BATCH = 20
HANG_S = 60.0
"""A batch that takes so long is shown with where it is, and ends the run."""
EARLY = 0.1
"""Share of the records after which memory is looked at for the first time."""


class StillClock(SystemClock):
    """The wall clock stands where the records' timestamps are."""

    def wall(self) -> float:
        """Return the moment of all records."""
        return NOW_MS / 1e3


@dataclass
class Fuzzed:
    """What became of the records.

    Attributes:
        outcomes: ``taken``, or a dead letter's error, by modality.
        broken: What must not have happened, the first of each kind, with the record.
        slowest_s: Of one record, found by reading the slowest batches again one by one.
        slowest: That record.
        rss_early: Bytes, after a tenth of the records.
        rss_end: Likewise, at the end.
    """

    records: int = 0
    outcomes: Counter[tuple[Modality, str]] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    slowest_s: float = 0.0
    slowest: str = ""
    rss_early: int = 0
    rss_end: int = 0
    seconds: float = 0.0

    @property
    def growth(self) -> float:
        """By what share memory has grown since the first tenth."""
        return self.rss_end / self.rss_early - 1.0 if self.rss_early else 0.0


class Intake:
    """One modality's ingress, as a worker has it, with everything on that remembers anything."""

    def __init__(self, ingress: Ingress, rejected: list[Rejected]) -> None:
        self._ingress = ingress
        self._rejected = rejected
        self._tracker = OffsetTracker()
        self._offset = 0

    def take(self, modality: Modality, batch: list[Made]) -> list[str]:
        """Read records; return how each ended, in order.

        Raises:
            Exception: Whatever escapes; nothing may.
            AssertionError: A record had no end or two, or its dead letter is not what it should be.
        """
        first = self._offset
        records = [self._record(modality, made) for made in batch]
        self._rejected.clear()
        works = self._ingress.admit(records, self._tracker)
        ends: dict[int, str] = {}
        for offset, end in (
            *((work.handle.record.offset, "taken") for work in works),
            *((one.record.offset, one.letter.error) for one in self._rejected),
        ):
            assert offset not in ends, f"offset {offset} ended twice"
            ends[offset] = end
        for rejected in self._rejected:
            check_letter(rejected)
        for record in records:
            self._tracker.complete(record.offset)
        assert self._tracker.position == self._offset
        missing = [offset for offset in range(first, self._offset) if offset not in ends]
        assert not missing, f"offsets {missing} have no end"
        return [ends[offset] for offset in range(first, self._offset)]

    def _record(self, modality: Modality, made: Made) -> ConsumerRecord:
        offset, self._offset = self._offset, self._offset + 1
        self._tracker.begin(offset)
        return ConsumerRecord(
            topic=f"events.{modality.value}",
            partition=0,
            offset=offset,
            timestamp=made.timestamp_ms,
            timestamp_type=0,
            key=made.key,
            value=made.value,
            checksum=None,
            serialized_key_size=len(made.key or b""),
            serialized_value_size=len(made.value or b""),
            headers=tuple(made.headers),
        )


def check_letter(rejected: Rejected) -> None:
    """Hold: the letter says why in one line, is read as it was written, and has the original."""
    original = rejected.record
    outbound = encode_dead_letter(rejected.letter, original)
    written = Record(
        topic=f"{original.topic}.dlq",
        value=outbound.value,
        key=outbound.key,
        headers=outbound.headers,
    )
    letter = decode_dead_letter(written)
    assert letter.message, "the letter does not say why"
    assert "\n" not in letter.message, "a message of several lines"
    assert letter.source == rejected.letter.source
    if any(name == HEADERS_OMITTED for name, _ in outbound.headers):
        return
    again = encode_redrive(written)
    assert (again.key, again.value) == (original.key, original.value), "the original is changed"
    kept = [one for one in again.headers if not one[0].startswith(RESERVED_PREFIX)]
    sent = [one for one in original.headers if not one[0].startswith(RESERVED_PREFIX)]
    assert kept == sent, "the original's headers are changed"


def open_intakes() -> dict[Modality, Intake]:
    """Load what ships, and make an ingress of each."""
    settings = Settings(
        transcripts=Transcripts(context_segments=3), cameras=Cameras(unchanged_below=2.0)
    )
    intakes = {}
    for route, engine in load_models(routes_of(settings), open_model):
        rejected: list[Rejected] = []
        ingress = Ingress(
            modality=route.modality,
            engine=engine,
            clock=StillClock(),
            budget_ms=route.budget_ms,
            on_overload=route.on_overload,
            limits=DEFAULT_LIMITS,
            reject=rejected.append,
            sources=route.sources,
            tells_contents=True,
        )
        intakes[route.modality] = Intake(ingress, rejected)
    if len(intakes) != len(Modality):
        raise HeadraceError("models: not every modality has one that can be run here")
    return intakes


def fuzz(
    records: int, seed: int, *, out: Path, tick: Callable[[Fuzzed], None] = lambda _: None
) -> Fuzzed:
    """Read so many drawn records.

    Args:
        records: How many.
        seed: The same for the same records.
        out: Where records are written that something went wrong with.
        tick: Called now and then.
    """
    found, mutator, intakes = Fuzzed(), Mutator(seed), open_intakes()
    waiting: dict[Modality, list[Made]] = {modality: [] for modality in Modality}
    started = ticked = time.monotonic()
    for number in range(1, records + 1):
        made = mutator.draw()
        batch = waiting[made.modality]
        batch.append(made)
        if len(batch) >= 1 + number % LARGEST_BATCH or number == records:
            for modality, several in waiting.items():
                if several and (several is batch or number == records):
                    _take(found, intakes[modality], modality, several, out)
                    several.clear()
        if number == int(records * EARLY):
            found.rss_early = psutil.Process().memory_info().rss
        if time.monotonic() - ticked > 1.0:
            ticked, found.seconds = time.monotonic(), time.monotonic() - started
            tick(found)
    faulthandler.cancel_dump_traceback_later()
    found.rss_end = psutil.Process().memory_info().rss
    found.seconds = time.monotonic() - started
    return found


def _take(found: Fuzzed, intake: Intake, modality: Modality, batch: list[Made], out: Path) -> None:
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    began = time.perf_counter()
    try:
        ends = intake.take(modality, batch)
    except Exception as error:  # noqa: BLE001 - that something escapes is what we look for
        _keep(found, repr(error), batch, out)
        return
    took_s = time.perf_counter() - began
    found.records += len(batch)
    for made, end in zip(batch, ends, strict=True):
        found.outcomes[modality, end] += 1
        if made.untouched and end != "taken":
            _keep(found, f"a good record became a dead letter: {end}", [made], out)
        if end == "poison":
            _keep(found, "an event that the tokenizer or image decoder raised on", [made], out)
    if took_s > found.slowest_s:
        _find_slowest(found, intake, modality, batch)


def _find_slowest(found: Fuzzed, intake: Intake, modality: Modality, batch: list[Made]) -> None:
    """Read a slow batch's records one by one; twice, for a machine that stalls has no memory."""
    for made in batch:
        took_s = []
        for _ in range(2):
            began = time.perf_counter()
            intake.take(modality, [made])
            took_s.append(time.perf_counter() - began)
        if min(took_s) > found.slowest_s:
            size = len(made.value or b"")
            found.slowest_s = min(took_s)
            found.slowest = f"{modality.value}, {size:,} bytes, begins {(made.value or b'')[:40]!r}"


def _keep(found: Fuzzed, problem: str, batch: list[Made], out: Path) -> None:
    found.failures += 1
    if problem in found.broken:
        return
    found.broken[problem] = ""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"broken-{len(found.broken)}.txt"
    lines = [
        f"{made.modality.value} key={made.key!r} timestamp={made.timestamp_ms} "
        f"headers={list(made.headers)!r} value={base64.b64encode(made.value or b'').decode()}"
        for made in batch
    ]
    path.write_text("\n".join([problem, *lines]), "utf-8")
    found.broken[problem] = str(path)
