"""Quotas and claims: what one may have of a device that others want too."""

import math
from statistics import fmean

import pytest

from inference.cost import Coefficients
from inference.dispatch import Dispatch
from inference.settings import SchedulerSettings
from inference.shares import BATCH_S, BURST_S, Quota, Share, Tenant, binding
from inference.simulation import Outcome, Simulation
from inference.turns import Turns
from inference.work import OverloadPolicy, Work
from tests.fakes.engine import EFFORTS
from tests.fakes.loads import MEAN_TOKENS, SimulatedDevice, arrivals, simulate_shared
from tests.fakes.works import NOW, FixedCost, work

TEXT = SimulatedDevice(Coefficients(0.0004, 0.000008, 0.00002))
"""About 5,500 events a second."""
SECONDS = 1.0


def load(share: float, **fields: object) -> list[Work]:
    """Return arrivals that ask for a share of the device."""
    return arrivals(TEXT.capacity * share, SECONDS, **fields)  # type: ignore[arg-type]


def claim(weight: float = 1.0, quota: float | None = None) -> Share:
    """Return the claim of a tenant with one queue."""
    return Share(Tenant("one", weight, Quota(quota, "one") if quota else None))


def met(outcomes: list[Outcome]) -> float:
    """Return the share on time."""
    return fmean(one.on_time for one in outcomes)


def device_seconds(simulation: Simulation, models: int) -> list[float]:
    """Return what each had of the device while events came."""
    seconds = [0.0] * models
    for batch in simulation.trace.batches:
        if batch.started < NOW + SECONDS:
            seconds[batch.model] += batch.seconds
    return seconds


def test_a_quota_is_full_at_first() -> None:
    """It lets a burst through that is no more than was not used before."""
    quota = Quota(100.0, "one")
    assert quota.room(NOW) == 100.0 * BURST_S
    assert quota.ready_at(NOW) == -math.inf


def test_an_overdrawn_quota_waits_until_there_is_a_batch_again() -> None:
    """The long-run rate is what was agreed."""
    quota = Quota(100.0, "one")
    quota.charge(150, NOW)
    assert quota.ready_at(NOW) == pytest.approx(NOW + 0.5 + BATCH_S)
    assert quota.ready_at(NOW + 0.5 + 2 * BATCH_S) == -math.inf


def test_a_quota_saves_up_no_more_than_a_burst() -> None:
    """An idle hour is no claim to an hour's worth."""
    quota = Quota(100.0, "one")
    quota.charge(10, NOW)
    assert quota.room(NOW + 3_600) == 100.0 * BURST_S


def test_of_several_quotas_the_last_to_be_ready_binds() -> None:
    """A topic's own, and its tenant's."""
    own, common = Quota(100.0, "own"), Quota(100.0, "common")
    own.charge(100, NOW)
    common.charge(200, NOW)
    assert binding([own, common], NOW) == (pytest.approx(NOW + 1.0 + BATCH_S), common)
    assert binding([Quota(1.0, "unused")], NOW) == (-math.inf, None)


def test_a_batch_is_cut_to_what_is_left_of_the_quota() -> None:
    """The rest waits for the next."""
    dispatch = Dispatch(
        SchedulerSettings(), EFFORTS, FixedCost(Coefficients(0.010)), quotas=[Quota(50.0, "one")]
    )
    turns = Turns([dispatch])
    dispatch.admit([work(20, budget=9) for _ in range(5)], NOW)
    flight = turns.step(NOW).flight
    assert flight is not None
    assert (flight.batch.tokens, len(flight.works)) == (40, 2)
    turns.land(0.010, NOW + 0.010)
    assert turns.step(NOW + 0.010).flight is not None, "10 tokens are left, so one work may"
    turns.land(0.010, NOW + 0.020)
    turn = turns.step(NOW + 0.020)
    assert turn.flight is None
    assert turn.wake_at == pytest.approx(NOW + 0.020 + 0.2 + BATCH_S - 0.02, abs=0.02)


def test_what_a_quota_sheds_says_so() -> None:
    """Whoever pays for it must see that it is not the machine."""
    dispatch = Dispatch(
        SchedulerSettings(), EFFORTS, FixedCost(Coefficients(0.010)), quotas=[Quota(50.0, "fund")]
    )
    turns = Turns([dispatch])
    dispatch.admit([work(60, budget=9)], NOW)
    turns.step(NOW)
    turns.land(0.010, NOW + 0.010)
    dispatch.admit([work(20, budget=0.1)], NOW + 0.010)
    (_, shed), *_ = turns.step(NOW + 0.2).shed
    assert str(shed.reason).endswith("; fund's quota of 50 tokens/s is used up")


@pytest.mark.parametrize("policy", list(OverloadPolicy))
def test_a_flooding_tenant_breaks_only_its_own_promises(policy: OverloadPolicy) -> None:
    """Though the other's budget is a third of its own, and its priority the lowest."""
    _, (_, quiet) = simulate_shared(
        (TEXT, load(5.0, policies=(policy,), priorities=(9,))),
        (TEXT, load(0.2, seed=2, budgets=(0.05,), priorities=(0,))),
        shares=[claim(), claim()],
    )
    assert met(quiet) > 0.999


@pytest.mark.parametrize("policy", list(OverloadPolicy))
def test_many_flooding_tenants_do_not_hold_up_one_that_keeps_to_its_share(
    policy: OverloadPolicy,
) -> None:
    """Its short batches do not wait until each of the others had a long one."""
    floods = [(TEXT, load(0.5, seed=10 + each, policies=(policy,))) for each in range(12)]
    _, (quiet, *_) = simulate_shared(
        (TEXT, load(0.01, seed=2, budgets=(0.05,))),
        *floods,
        shares=[claim() for _ in range(1 + len(floods))],
    )
    assert met(quiet) > 0.99


@pytest.mark.parametrize("policy", list(OverloadPolicy))
def test_flooding_tenants_share_the_device_by_weight(policy: OverloadPolicy) -> None:
    """Priorities that a tenant gives its events count among its own alone."""
    simulation, _ = simulate_shared(
        (TEXT, load(3.0, policies=(policy,), priorities=(1,))),
        (TEXT, load(3.0, policies=(policy,), priorities=(9,), seed=2)),
        shares=[claim(4.0), claim(1.0)],
    )
    first, second = device_seconds(simulation, 2)
    assert first / (first + second) == pytest.approx(0.8, abs=0.05)


def test_topics_of_a_tenant_divide_its_claim_by_their_weights() -> None:
    """Two against one tenant of the same weight have half of the device together."""
    both, other = Tenant("both"), Tenant("other")
    simulation, _ = simulate_shared(
        (TEXT, load(2.0, seed=1)),
        (TEXT, load(2.0, seed=2)),
        (TEXT, load(2.0, seed=3)),
        shares=[Share(both), Share(both, 3.0), Share(other)],
    )
    first, second, third = device_seconds(simulation, 3)
    whole = first + second + third
    assert third / whole == pytest.approx(0.5, abs=0.05)
    assert second / (first + second) == pytest.approx(0.75, abs=0.05)


def test_a_claim_that_is_not_used_is_others() -> None:
    """Weights hold nobody back while there is room."""
    _, (busy, rare) = simulate_shared(
        (TEXT, load(0.85)), (TEXT, load(0.02, seed=2)), shares=[claim(1.0), claim(99.0)]
    )
    assert met(busy) > 0.99
    assert met(rare) > 0.99


@pytest.mark.parametrize("policy", list(OverloadPolicy))
def test_a_quota_holds_though_the_device_is_free(policy: OverloadPolicy) -> None:
    """No more tokens run than were agreed, but for the first burst."""
    quota = TEXT.capacity * MEAN_TOKENS * 0.2
    works = load(1.0, policies=(policy,))
    simulation, _ = simulate_shared((TEXT, works), shares=[claim(quota=quota)])
    ran = sum(batch.tokens for batch in simulation.trace.batches if batch.started < NOW + SECONDS)
    assert ran == pytest.approx(quota * (SECONDS + BURST_S), rel=0.05)


def test_a_quota_that_is_not_reached_changes_nothing() -> None:
    """All on time in full."""
    quota = TEXT.capacity * MEAN_TOKENS * 0.6
    _, (found,) = simulate_shared((TEXT, load(0.4)), shares=[claim(quota=quota)])
    assert met(found) > 0.999
    assert not any(one.degraded for one in found)


def test_every_work_ends_once_under_quotas_and_weights() -> None:
    """Nothing is lost where a batch was cut."""
    works = [load(1.0), load(1.0, seed=2)]
    _, outcomes = simulate_shared(
        *((TEXT, each) for each in works),
        shares=[claim(2.0, quota=9_000.0), claim(1.0, quota=40_000.0)],
    )
    for sent, ended in zip(works, outcomes, strict=True):
        assert sorted(map(id, sent)) == sorted(id(one.work) for one in ended)
