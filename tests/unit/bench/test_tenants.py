"""Several queues on one device in real time, and what is said of each."""

from overload_loads import arrivals
from overload_texts import Texts
from tenants import Queues, row, works_of

from inference.clock import SystemClock
from inference.engine import Encoded
from inference.shares import Share, Tenant
from tests.fakes.engine import EFFORTS, FakeEngine, encode_words

TEXTS = Texts(
    [encode_words(["word"] * 5)] * 3,
    labels=None,
    answers={each.name: [0, 0, 0] for each in EFFORTS},
)


async def test_each_queue_ends_its_own_events() -> None:
    """Once, whoever's batch they waited for."""
    clock = SystemClock()
    queues = Queues(FakeEngine(), clock, [Share(Tenant("one")), Share(Tenant("other"))])
    await queues.start(TEXTS)
    start = clock.monotonic()
    loads = [
        works_of(arrivals([0.001 * n for n in range(20)], 3, [5.0], seed=seed), TEXTS, start)
        for seed in (1, 2)
    ]
    spent = await queues.run(loads)
    await queues.close()
    assert spent > 0.0
    for works, ended in zip(loads, queues.ended, strict=True):
        assert sorted(id(one.work) for one, _ in ended) == sorted(map(id, works))
        found = row("one", ended, len(works), 0.5)
        assert (found.on_time, found.events, found.cpu) == (1.0, 20, 0.5)


def test_what_never_ended_is_not_on_time() -> None:
    """Nor does it have a latency."""
    works = works_of(arrivals([0.0], 3, [1.0], seed=1), TEXTS, 0.0)
    assert isinstance(works[0].encoded, Encoded)
    assert row("none", [], len(works), 0.0).on_time == 0.0
