"""Companies are found in news that is answered, wherever the answer is from."""

from collections.abc import AsyncIterator

import orjson
import pytest

from inference.result_cache import Cache
from inference.settings import SchedulerSettings
from schemas.results import AnsweredFrom, Classification, Verdict
from streams.redaction.redactor import Redactor
from streams.redaction.settings import Redaction
from tests.fakes.clock import ManualClock
from tests.fakes.engine import FakeEngine
from tests.fakes.gazetteers import linker_of
from tests.fakes.lane import LaneRig
from tests.fakes.routes import route_of


class Rig(LaneRig):
    """A lane of headlines that finds the companies of the small list."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        clock = ManualClock()
        super().__init__(
            route_of(),
            engine=FakeEngine(cost=lambda *_: 0.010, spend=clock.advance),
            clock=clock,
            settings=SchedulerSettings(max_batch_events=1),
            cache=Cache(),
            linker=linker_of(),
            redactor=redactor,
        )

    async def run(self, text: str, *, age_ms: float = 0, policy: str = "degrade") -> Classification:
        """Admit a headline that has a ticker of its own; return its result."""
        value = orjson.dumps({"id": "n-1", "headline": text, "tickers": ["XYZ"]})
        stamp = int(self.clock.wall() * 1e3 - age_ms)
        self.admit(value, timestamp=stamp, headers=(("ce_onoverload", policy.encode()),))
        await self.drained()
        return self.results()[-1]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """Start one that knows what batches cost."""
    async with Rig().started() as started:
        for number in range(3):
            await started.run(f"What a batch costs is learned {number}")
        yield started


async def test_a_result_says_which_companies_its_news_names(rig: Rig) -> None:
    """Behind the tickers that the event came with."""
    result = await rig.run("Zuri orders ships")
    assert result.tickers == ("XYZ", "ZURI.SW")
    assert [one.name for one in result.entities] == ["Zuri Coffee AG"]


async def test_content_that_comes_again_is_linked_again(rig: Rig) -> None:
    """The answer is remembered; what the event names is its own."""
    first = await rig.run("Zuri orders ships")
    again = await rig.run("Zuri orders ships")
    assert again.answered_from is AnsweredFrom.CACHE
    assert (again.tickers, again.entities) == (first.tickers, first.entities)


async def test_shed_news_keeps_the_tickers_that_it_came_with(rig: Rig) -> None:
    """Nothing is looked for in what nobody read."""
    result = await rig.run("Zuri orders ships", age_ms=149, policy="shed")
    assert result.verdict is Verdict.SHED
    assert (result.tickers, result.entities) == (("XYZ",), ())


@pytest.mark.parametrize("field", ["tickers", "entities"])
async def test_companies_are_left_out_where_tickers_are_masked(field: str) -> None:
    """Their names would tell."""
    settings = Redaction(fields=(field,))
    async with Rig(Redactor(settings, route_of().modality)).started() as rig:
        result = await rig.run("Zuri orders ships")
    assert result.entities == ()
    assert ("ZURI.SW" in result.tickers) == (field == "entities")
