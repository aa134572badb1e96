"""What a lane makes of interim texts, of context, and of images that follow each other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY

from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy
from schemas.events import Modality
from schemas.results import Classification, Verdict
from streams.lane.sources import Cameras, Keep, Sources, Transcripts
from streams.topics import event_topic
from tests.fakes.lane import LaneRig
from tests.fakes.routes import route_of
from tests.unit.lane.pictures import picture


class Rig(LaneRig):
    """A lane that runs one event at a time, however late."""

    def __init__(self, modality: Modality, sources: Sources) -> None:
        super().__init__(
            route_of(modality, budget_ms=5_000.0, on_overload=OverloadPolicy.LATE, sources=sources),
            settings=SchedulerSettings(max_batch_events=1),
        )

    async def occupy(self, *values: bytes) -> None:
        """Give the device what it cannot finish, and fill the slot before it."""
        self.engine.hold()
        self.admit(*values)
        assert await asyncio.to_thread(self.engine.wait_until_held)

    async def ended(self) -> dict[str, Classification]:
        """Let all end; return the results by event, and complete their offsets."""
        self.engine.release()
        await self.drained()
        results = self.results()
        by_id = {one.event_id: one for one in results}
        assert len(by_id) == len(results) == self.admitted
        self.publisher.acknowledge()
        assert self.ledger.in_flight == 0
        return by_id


@asynccontextmanager
async def opened(modality: Modality, **sources: Any) -> AsyncIterator[Rig]:
    """Start a lane, and end its device thread."""
    async with Rig(modality, Sources(**sources)).started() as rig:
        yield rig


def segment(event_id: str, number: int | None, text: str = "hello", **fields: Any) -> bytes:
    """A plain JSON event."""
    event = {"id": event_id, "text": text, "session_id": "call", "segment": number}
    return orjson.dumps(
        {key: value for key, value in (event | fields).items() if value is not None}
    )


def frame(event_id: str, image: bytes, camera: str = "gate") -> tuple[bytes, dict[str, Any]]:
    """An image in binary mode, with its headers."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": "mill",
        "ce_type": "headrace.camera.v1",
        "ce_cameraid": camera,
        "content-type": "image/jpeg",
    }
    return image, {"headers": tuple((name, value.encode()) for name, value in headers.items())}


@pytest.fixture
def counted() -> Callable[[str, str], float]:
    """What a counter has gone up by since the test began."""
    names = ("headrace_superseded_events_total", "headrace_unchanged_events_total")

    def now(name: str, modality: str) -> float:
        labels = {"topic": event_topic(Modality(modality)), "modality": modality}
        return REGISTRY.get_sample_value(name, labels) or 0.0

    before = {(name, each.value): now(name, each.value) for name in names for each in Modality}
    return lambda name, modality: now(name, modality) - before[name, modality]


async def test_only_the_newest_text_of_a_segment_is_run(
    counted: Callable[[str, str], float],
) -> None:
    """The others are shed with what superseded them; each has one result and completes."""
    async with opened(Modality.TRANSCRIPT) as rig:
        await rig.occupy(segment("running", 0), segment("prepared", 1))
        rig.admit(segment("a", 2, "my", is_final=False))
        rig.admit(segment("b", 2, "my card", is_final=False))
        rig.admit(segment("c", 3, "yes", is_final=False))
        rig.admit(segment("final", 2, "my card is lost"))
        rig.admit(segment("late", 2, "my card is", is_final=False))
        results = await rig.ended()
    shed = {key: one.reason for key, one in results.items() if one.verdict is Verdict.SHED}
    assert shed == {
        "a": "superseded while it waited by the later interim text of segment 2 of session 'call', "
        "event 'b' (events.transcripts/0/3)",
        "b": "superseded while it waited by the final text of segment 2 of session 'call', "
        "event 'final' (events.transcripts/0/5)",
        "late": "superseded when it came by the final text of segment 2 of session 'call', "
        "event 'final' (events.transcripts/0/5)",
    }
    assert counted("headrace_superseded_events_total", "transcript") == 3


async def test_texts_that_may_all_be_run_are(counted: Callable[[str, str], float]) -> None:
    """On request, and where they do not say what they belong to."""
    async with opened(Modality.TRANSCRIPT, transcripts=Transcripts(keep=Keep.ALL)) as rig:
        rig.admit(*(segment(f"s-{number}", 2, is_final=False) for number in range(3)))
        assert {one.verdict for one in (await rig.ended()).values()} == {Verdict.ON_TIME}
    async with opened(Modality.TRANSCRIPT) as rig:
        rig.admit(*(segment(f"s-{number}", None, is_final=False) for number in range(3)))
        assert {one.verdict for one in (await rig.ended()).values()} == {Verdict.ON_TIME}
    assert counted("headrace_superseded_events_total", "transcript") == 0


async def test_a_segment_is_read_with_what_was_said_before() -> None:
    """Its answer is that of all the texts together, until the partitions are handed over."""
    context = Transcripts(context_segments=2)
    async with opened(Modality.TRANSCRIPT, transcripts=context) as rig:
        rig.admit(segment("a", 1, "one"), segment("b", 2, "two"), segment("c", 3, "three"))
        rig.admit(segment("d", 4, "four"))
        rig.lane.withdraw_all()
        rig.admit(segment("e", 5, "five"))
        await asyncio.sleep(0)
        assert await rig.lane.scheduler.drain(10)
        assert sum(tokens for _, tokens, _ in rig.engine.batches) == 1


async def test_context_does_not_depend_on_how_records_were_polled() -> None:
    """One by one or together: the same answers."""
    segments = [
        segment(f"s-{number}", number, f"word-{number}", is_final=number % 3 > 0)
        for number in (1, 2, 3, 5, 4, 6, 6, 7)
    ]
    segments = [value.replace(b'"s-', f'"{at}-'.encode()) for at, value in enumerate(segments)]
    found = []
    for polls in ([segments], [[each] for each in segments]):
        context = Transcripts(context_segments=2, keep=Keep.ALL)
        async with opened(Modality.TRANSCRIPT, transcripts=context) as rig:
            for poll in polls:
                rig.admit(*poll)
            found.append({key: one.scores for key, one in (await rig.ended()).items()})
    assert found[0] == found[1]
    assert len({str(scores) for scores in found[0].values()}) > 4


async def test_only_the_newest_image_of_a_camera_is_run(
    counted: Callable[[str, str], float],
) -> None:
    """Where that is asked for; other cameras are left alone."""
    async with opened(Modality.CAMERA, cameras=Cameras(keep=Keep.LATEST)) as rig:
        rig.engine.hold()
        for number, camera in enumerate(("x", "y", "gate", "yard", "gate", "gate")):
            value, fields = frame(f"f-{number}", picture(10 * number), camera)
            rig.admit(value, **fields)
            if number < 2:
                await asyncio.sleep(0.05)
        results = await rig.ended()
    shed = {key: one.reason for key, one in results.items() if one.verdict is Verdict.SHED}
    newer = "superseded while it waited by a newer image of camera 'gate', event"
    assert shed == {
        "f-2": f"{newer} 'f-4' (events.camera/0/4)",
        "f-4": f"{newer} 'f-5' (events.camera/0/5)",
    }
    assert counted("headrace_superseded_events_total", "camera") == 2


async def test_an_image_that_shows_the_same_is_not_run_again(
    counted: Callable[[str, str], float],
) -> None:
    """It has the scores of the last one that was, and counts as unchanged."""
    async with opened(Modality.CAMERA, cameras=Cameras(unchanged_below=1.0)) as rig:
        for number, grey in enumerate((100, 100, 180, 180)):
            value, fields = frame(f"f-{number}", picture(grey, noise=number))
            rig.admit(value, **fields)
            assert await rig.lane.scheduler.drain(10)
            rig.clock.advance(0.1)
        results = await rig.ended()
        assert len(rig.engine.batches) == 2
    assert results["f-1"].scores == results["f-0"].scores
    assert results["f-3"].scores == results["f-2"].scores
    assert results["f-0"].scores != results["f-2"].scores
    origins = [results[f"f-{number}"].answered_from for number in range(4)]
    assert origins == ["model", "previous_frame", "model", "previous_frame"]
    assert counted("headrace_unchanged_events_total", "camera") == 2


async def test_an_unchanged_image_supersedes_an_older_one_that_waits() -> None:
    """The newest is answered; that one before it differed is of no more interest."""
    cameras = Cameras(keep=Keep.LATEST, unchanged_below=1.0)
    async with opened(Modality.CAMERA, cameras=cameras) as rig:
        value, fields = frame("first", picture(100))
        rig.admit(value, **fields)
        assert await rig.lane.scheduler.drain(10)
        rig.engine.hold()
        for number, camera in enumerate(("x", "y")):
            value, fields = frame(f"f-{number}", picture(10 * number), camera)
            rig.admit(value, **fields)
            await asyncio.sleep(0.05)
        for event_id, grey in (("flash", 250), ("same", 100)):
            value, fields = frame(event_id, picture(grey))
            rig.admit(value, **fields)
        results = await rig.ended()
    assert results["same"].scores == results["first"].scores
    assert results["flash"].verdict is Verdict.SHED
    assert "'same'" in (results["flash"].reason or "")
