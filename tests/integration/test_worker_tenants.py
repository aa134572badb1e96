"""One worker process that answers topics of several tenants."""

import uuid
from pathlib import Path

import orjson
import pytest

from schemas.kafka import decode_result
from schemas.results import Classification, Verdict
from streams.broker import RunningBroker
from tests.fakes.small_model import write_small_checkpoint
from tests.integration.command import headrace
from tests.integration.worker import producing, running_worker, wait_for_records

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

PARTITIONS = 2
FLOOD, FEW = 600, 40
SETTINGS = """
models = "{model}"
partitions = {partitions}
cache.enabled = false

[tenants.fund]
quota_tokens_per_s = 0.01

[tenants.desk]
weight = 4

[[topics]]
name = "events.{run}-fund"
modality = "news"
tenant = "fund"
on_overload = "shed"
budget_ms = 2_000

[[topics]]
name = "events.{run}-desk"
modality = "news"
tenant = "desk"
results = "desk-{run}.signals"
on_overload = "late"

[[topics]]
name = "calls-{run}"
modality = "transcript"
tenant = "desk"
on_overload = "late"
"""


async def test_a_tenant_above_its_quota_costs_the_others_nothing(
    broker: RunningBroker, tmp_path: Path
) -> None:
    """Every event is answered once, on its own topic's results; only who floods is shed."""
    servers, run = broker.bootstrap_servers, uuid.uuid4().hex[:8]
    model = write_small_checkpoint(tmp_path / "model")
    config = tmp_path / "headrace.toml"
    config.write_text(SETTINGS.format(model=model, partitions=PARTITIONS, run=run))
    flags = ["--group", f"test-{run}", "--config", str(config), "--modality", "news"]
    flags += ["--modality", "transcript"]
    create = ("topics", "create", "--config", str(config), "--bootstrap-servers", servers)
    made = await headrace(*create, "--partitions", str(PARTITIONS))
    assert made.status == 0
    assert f"desk-{run}.signals: created with {PARTITIONS} partitions" in made.stdout
    assert f"calls-{run}.dlq" in made.stdout
    flags += ["--no-create-topics"]
    sent = {f"events.{run}-fund": FLOOD, f"events.{run}-desk": FEW, f"calls-{run}": FEW}
    async with (
        running_worker(servers, tmp_path / "worker.log", *flags) as worker,
        producing(servers) as producer,
    ):
        # One event takes the quota of minutes, so no other can be run within its budget.
        first = _event(f"events.{run}-fund", 0)
        await producer.send(f"events.{run}-fund", *first, headers=[("ce_budgetms", b"60000")])
        (ran,) = await _results(servers, f"results.{run}-fund", 1)
        assert ran.verdict is not Verdict.SHED
        for topic, events in sent.items():
            for number in range(int(topic.endswith("-fund")), events):
                await producer.send(topic, *_event(topic, number))
        await producer.flush()
        found = {
            f"events.{run}-fund": await _results(servers, f"results.{run}-fund", FLOOD),
            f"events.{run}-desk": await _results(servers, f"desk-{run}.signals", FEW),
            f"calls-{run}": await _results(servers, f"results.calls-{run}", FEW),
        }
        for topic, results in found.items():
            expected = sorted(f"{topic}-{number}" for number in range(sent[topic]))
            assert sorted(one.event_id for one in results) == expected
        shed = [one for one in found.pop(f"events.{run}-fund") if one.verdict is Verdict.SHED]
        quota = "tenant fund's quota of 0.01 tokens/s is used up"
        assert len(shed) == FLOOD - 1
        assert all(quota in str(one.reason) for one in shed)
        assert not [one for few in found.values() for one in few if one.verdict is Verdict.SHED]
        taken = f'headrace_events_total{{modality="transcript",topic="calls-{run}"}}'
        assert (await worker.metrics())[taken] == FEW
        assert await worker.stop() == 0


def _event(topic: str, number: int) -> tuple[bytes, bytes]:
    """Return an event and its key."""
    field = "text" if topic.startswith("calls") else "headline"
    event = {"id": f"{topic}-{number}", field: "steel profit rises sharply"}
    return orjson.dumps(event), str(number).encode()


async def _results(servers: str, topic: str, events: int) -> list[Classification]:
    since = dict.fromkeys(range(PARTITIONS), 0)
    records = await wait_for_records(servers, topic, since, events)
    return [decode_result(record.value) for record in records]
