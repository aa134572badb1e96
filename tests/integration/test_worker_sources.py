"""One worker process, and events that belong together: texts of a segment, images of a camera."""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.events import Modality
from schemas.kafka import decode_result
from schemas.results import Classification, Verdict
from streams.broker import RunningBroker
from streams.connection import Connection
from streams.steel import draw_steel
from streams.topics import ensure_topics, event_topic, result_topic, topics_of
from tests.integration.worker import (
    LARGEST,
    PARTITIONS,
    ends_of,
    producing,
    running_worker,
    wait_for_records,
)

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

SPEECH, CAMERA = Modality.TRANSCRIPT, Modality.CAMERA
SETTINGS = """
on_overload = "late"
[transcripts]
context_segments = 2
[cameras]
keep = "latest"
unchanged_below = 1.0
unchanged_for_ms = 600_000
"""


async def test_what_belongs_together_is_answered_together(
    broker: RunningBroker, tmp_path: Path
) -> None:
    """A text that comes after its final is superseded; an image that shows the same is not run."""
    servers, run = broker.bootstrap_servers, uuid.uuid4().hex[:8]
    topics = [name for each in (SPEECH, CAMERA) for name in topics_of(each)]
    await ensure_topics(
        Connection(servers), topics, partitions=PARTITIONS, max_message_bytes=LARGEST
    )
    since = {
        each: await ends_of(servers, result_topic(each), PARTITIONS) for each in (SPEECH, CAMERA)
    }
    config = tmp_path / "headrace.toml"
    config.write_text(f'group = "test-{run}"\nmodalities = ["transcript", "camera"]\n{SETTINGS}')
    async with (
        running_worker(
            servers, tmp_path / "worker.log", "--modality", SPEECH, "--modality", CAMERA,
            "--config", str(config),
        ) as worker,
        producing(servers) as producer,
    ):  # fmt: skip
        for event_id, is_final in (("final", True), ("late", False)):
            event = {"id": f"{run}-{event_id}", "text": "my card is lost", "is_final": is_final}
            event |= {"session_id": run, "segment": 1}
            await producer.send_and_wait(event_topic(SPEECH), orjson.dumps(event), key=run.encode())
        found = await _results(servers, SPEECH, since[SPEECH], [f"{run}-final", f"{run}-late"])
        assert found[f"{run}-final"].label is not None
        late = found[f"{run}-late"]
        assert (late.verdict, late.label) == (Verdict.SHED, None)
        assert f"event '{run}-final' (events.transcripts/" in (late.reason or "")
        ids: list[str] = []
        for number, seed in enumerate((1, 1, 2)):
            ids.append(f"{run}-{number}")
            await producer.send_and_wait(
                event_topic(CAMERA),
                draw_steel("patches", seed),
                key=run.encode(),
                headers=_headers(ids[-1], camera=run),
            )
            found = await _results(servers, CAMERA, since[CAMERA], ids)
        assert found[ids[1]].scores == found[ids[0]].scores != found[ids[2]].scores
        metrics = await worker.metrics()
        assert (
            metrics[
                'headrace_superseded_events_total{modality="transcript",topic="events.transcripts"}'
            ]
            == 1
        )
        assert (
            metrics['headrace_unchanged_events_total{modality="camera",topic="events.camera"}'] == 1
        )
        assert await worker.stop() == 0


def _headers(event_id: str, *, camera: str) -> list[tuple[str, bytes]]:
    fields = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": "mill",
        "ce_type": "headrace.camera.v1",
        "ce_cameraid": camera,
        "content-type": "image/png",
    }
    return [(name, value.encode()) for name, value in fields.items()]


async def _results(
    servers: str, modality: Modality, since: dict[int, int], ids: Sequence[str]
) -> dict[str, Classification]:
    """Wait for the results of some events; each has one."""
    found: list[Any] = []
    for _ in range(60):
        records = await wait_for_records(servers, result_topic(modality), since, len(ids))
        found = [decode_result(record.value) for record in records]
        found = [result for result in found if result.event_id in ids]
        if len(found) >= len(ids):
            break
        await asyncio.sleep(0.5)
    assert sorted(result.event_id for result in found) == sorted(ids)
    return {result.event_id: result for result in found}
