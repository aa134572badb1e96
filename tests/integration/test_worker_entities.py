"""Workers find companies in news, by a list that is exchanged while they run."""

import asyncio
import uuid
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from schemas.kafka import decode_result
from schemas.results import Classification
from streams.broker import RunningBroker
from tests.fakes.small_model import write_small_checkpoint
from tests.integration.worker import RunningWorker, producing, running_worker, wait_for_records

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]

WORKERS = 2
SETTINGS = """
models = "{model}"
partitions = 1

[entities]
file = "{companies}"
reload_interval_ms = 100

[[topics]]
name = "events.{run}"
modality = "news"
on_overload = "late"
"""
HEADLINE = "Harbour Lines and Nova Lines follow Infosys"


@dataclass
class Running:
    """A worker, its list, and the topics that it serves."""

    servers: str
    run: str
    companies: Path
    worker: RunningWorker
    sent: int = 0

    def write(self, row: str) -> None:
        """Put another list in place of the one that is there."""
        new = self.companies.with_suffix(".new")
        new.write_text(f"name,ticker\n{row}\n", encoding="utf-8")
        new.rename(self.companies)

    async def ask(self) -> Classification:
        """Send the headline, and return its result."""
        value = orjson.dumps({"id": f"n-{self.sent}", "headline": HEADLINE, "tickers": ["XYZ"]})
        async with producing(self.servers) as producer:
            await producer.send_and_wait(f"events.{self.run}", value)
        self.sent += 1
        records = await wait_for_records(self.servers, f"results.{self.run}", {0: 0}, self.sent)
        return decode_result(records[-1].value or b"")

    async def until(self, metric: str, value: float) -> None:
        """Wait for a metric."""
        async with asyncio.timeout(20):
            while (await self.worker.metrics()).get(metric) != value:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def test_a_list_is_exchanged_under_running_workers(
    broker: RunningBroker, tmp_path: Path
) -> None:
    """Each takes a new one over and refuses a broken one; what is in the cache is linked anew."""
    servers, run = broker.bootstrap_servers, uuid.uuid4().hex[:8]
    model = write_small_checkpoint(tmp_path / "model")
    companies, config = tmp_path / "companies.csv", tmp_path / "headrace.toml"
    config.write_text(SETTINGS.format(model=model, run=run, companies=companies))
    companies.write_text("name,ticker\nHarbour Lines,HBR\n", encoding="utf-8")
    log = tmp_path / "log"
    flags = ("--config", str(config), "--group", run, "--workers", str(WORKERS))
    async with running_worker(servers, log, *flags) as worker:
        rig = Running(servers, run, companies, worker)
        first = await rig.ask()
        assert first.tickers == ("XYZ", "HBR", "INFY.NS")
        assert [one.name for one in first.entities] == ["Harbour Lines", "Infosys"]
        rig.write("Nova Lines,NOV")
        await rig.until('headrace_gazetteer_loads_total{outcome="loaded"}', 2 * WORKERS)
        assert (await rig.ask()).tickers == ("XYZ", "NOV", "INFY.NS")
        rig.write("Nova Lines,nov")
        await rig.until("headrace_gazetteer_stale", WORKERS)
        assert (await rig.ask()).tickers == ("XYZ", "NOV", "INFY.NS")
        assert await worker.stop() == 0
    assert "row 2, ticker: value is 'nov'" in log.read_text()
