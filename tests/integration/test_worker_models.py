"""One worker process with a model of each modality."""

import asyncio
import uuid
from pathlib import Path

import orjson
import pytest

from schemas.events import Modality
from schemas.kafka import decode_result
from schemas.results import Classification
from streams.broker import RunningBroker
from streams.connection import Connection
from streams.topics import ensure_topics, event_topic, result_topic, topics_of
from tests.fakes.small_model import write_small_checkpoint
from tests.integration.worker import (
    LARGEST,
    PARTITIONS,
    ends_of,
    producing,
    running_worker,
    wait_for_records,
)

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

TEXTS = (Modality.NEWS, Modality.TRANSCRIPT)
FIELDS = {Modality.NEWS: "headline", Modality.TRANSCRIPT: "text"}
LABELS = {Modality.NEWS: ("bad", "good"), Modality.TRANSCRIPT: ("card", "cash", "else")}
EVENTS = 60


async def test_each_topic_is_answered_by_its_own_model(
    broker: RunningBroker, tmp_path: Path
) -> None:
    """Every event once, with its model's name and labels, however the topics mix on the device."""
    servers, run = broker.bootstrap_servers, uuid.uuid4().hex[:8]
    topics = [name for each in TEXTS for name in topics_of(each)]
    await ensure_topics(
        Connection(servers), topics, partitions=PARTITIONS, max_message_bytes=LARGEST
    )
    since = {each: await ends_of(servers, result_topic(each), PARTITIONS) for each in TEXTS}
    flags = ["--group", f"test-{run}", "--on-overload", "late"]
    for each in TEXTS:
        path = write_small_checkpoint(
            tmp_path / each.value,
            checkpoint_name=f"small-{each.value}",
            id2label=dict(enumerate(LABELS[each])),
        )
        flags += ["--modality", each.value, "--model", f"{each.value}={path}"]
    async with (
        running_worker(servers, tmp_path / "worker.log", *flags) as worker,
        producing(servers) as producer,
    ):
        for number in range(EVENTS):
            for each in TEXTS:
                event = {"id": f"{run}-{number}", FIELDS[each]: "steel profit rises sharply"}
                await producer.send(event_topic(each), orjson.dumps(event))
        await producer.flush()
        for each in TEXTS:
            results = await _results(servers, each, since[each], run)
            assert sorted(one.event_id for one in results) == sorted(
                f"{run}-{number}" for number in range(EVENTS)
            )
            assert {one.model.name for one in results} == {f"small-{each.value}"}
            assert {tuple(one.scores) for one in results} == {LABELS[each]}
        metrics = await worker.metrics()
        for each in TEXTS:
            labels = f'modality="{each.value}",model="small-{each.value}"'
            answered = sum(
                value
                for name, value in metrics.items()
                if name.startswith("headrace_results_total{") and labels in name
            )
            assert answered >= EVENTS
        assert not any('modality="camera"' in name for name in metrics)
        assert await worker.stop() == 0


async def _results(
    servers: str, modality: Modality, since: dict[int, int], run: str
) -> list[Classification]:
    """Wait for this run's results; a new group answers older events of the topic, too."""
    found: list[Classification] = []
    for _ in range(60):
        records = await wait_for_records(servers, result_topic(modality), since, EVENTS)
        results = [decode_result(record.value) for record in records]
        found = [one for one in results if one.event_id.startswith(run)]
        if len(found) >= EVENTS:
            break
        await asyncio.sleep(0.5)
    return found


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--modality", "camera", "--model", "{model}"),
            "classifies news, transcript, not camera, and cannot answer topic events.camera",
        ),
        (("--modality", "camera", "--model", "camera=none"), "--model camera=PATH"),
        (("--model", "news=a", "--model", "news=b"), "two models for news"),
    ],
)
async def test_a_topic_without_a_fitting_model_ends_the_start(
    flags: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """With exit code 2, before any broker is asked; the line names the topic and the model."""
    path = str(write_small_checkpoint(tmp_path / "text"))
    given = [flag.replace("{model}", path) for flag in flags]
    if "--modality" not in given:
        given += ["--modality", "news"]
    log = tmp_path / "worker.log"
    async with running_worker("127.0.0.1:1", log, *given, ready=False) as worker:
        assert await asyncio.wait_for(worker.process.wait(), 60) == 2
    assert said in log.read_text()
    assert "Traceback" not in log.read_text()
