"""Whose batch runs next, where several models share one device.

Each model decides about its own queue as if the device were its own: batches hold works of one
model alone, and costs are learned per model. Of the batches that are proposed at a moment

1. the most urgent runs, as long as that leaves all others in time (earliest deadline first);
2. else one that makes no other late;
3. else, and where a model cannot meet all of its own in full, the device is overloaded, and it is
   shared by weighted fair queueing: the tenant goes first that will have had the least of it for
   its weight once its batch has run; of its models likewise the one that will have had the least
   for its own weight and its works' priorities. So who floods misses deadlines of his own, not
   those of a tenant who asks for no more than his share, whatever priority he gives himself; and a
   short batch does not wait for everybody's long ones.

   Source of 3: Demers, Keshav, Shenker, "Analysis and simulation of a fair queueing algorithm",
   SIGCOMM 1989.

A model that waits and got nothing for ``ageing_ms`` goes before all that, though not twice running:
many that starve at once must not hold up those who keep to their share.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from inference.batcher import Batch, Shed
from inference.dispatch import Dispatch, Flight
from inference.rules import Rule, TurnRule
from inference.shares import Share, Tenant

SLOTS = 2
"""One batch running, one prepared."""
MARGIN = 2.0
"""Others count as in time if they could wait for this many times the batch; run times vary."""
MEMORY_S = 0.5
"""How far back the use of the device by other models is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """What was decided at a moment.

    Attributes:
        shed: To be completed without running, each with the model that it waited for.
        flight: Goes to the device; decide again afterwards.
        wake_at: Monotonic seconds at which to decide again if nothing happens before; ``None``
            when only an arrival or the end of a batch can change anything.
    """

    shed: tuple[tuple[Dispatch, Shed], ...] = ()
    flight: Flight | None = None
    wake_at: float | None = None


@dataclass(slots=True, eq=False)
class _Account:
    """What a model has had of the device.

    Attributes:
        share: Its claim.
        virtual: Seconds divided by its weights; of a tenant's models the least is next.
        served_at: When a batch of it last flew, or when it last began to wait.
        waiting: It had work at the last look.
        recent_s: Seconds on the device, those of long ago forgotten, as of ``recent_at``.
    """

    share: Share
    virtual: float = 0.0
    served_at: float = -math.inf
    waiting: bool = False
    recent_s: float = 0.0
    recent_at: float = 0.0

    def use(self, now: float) -> float:
        """Return the share of the device that the model had lately."""
        return self.recent_s * math.exp((self.recent_at - now) / MEMORY_S) / MEMORY_S

    def note(self, seconds: float, now: float) -> None:
        """Add a batch that ended."""
        self.recent_s = self.use(now) * MEMORY_S + seconds
        self.recent_at = now


@dataclass(slots=True, eq=False)
class _Bid:
    """A batch that a model would run now.

    Attributes:
        latest_start: Monotonic seconds from which on it would be too late for its tightest member;
            infinity where all are late already, and where no other bids.
        won_by: The rule by which it was chosen, once it was.
    """

    dispatch: Dispatch
    account: _Account
    batch: Batch
    latest_start: float = math.inf
    won_by: TurnRule = TurnRule.ALONE

    def won(self, rule: TurnRule) -> "_Bid":
        """Note why this one was chosen."""
        self.won_by = rule
        return self


class Turns:
    """Lets models take turns on one device.

    Attributes:
        flights: The batch on the device, then the one in the slot.
    """

    def __init__(self, dispatches: Iterable[Dispatch] = ()) -> None:
        self.flights: deque[Flight] = deque()
        self._accounts: dict[Dispatch, _Account] = {}
        self._common = Tenant()
        self._favoured = False
        """The last batch flew only because its model was starving."""
        for each in dispatches:
            self.join(each)

    def join(self, dispatch: Dispatch, share: Share | None = None) -> None:
        """Let a model take part.

        Args:
            dispatch: Its queue.
            share: Its claim to the device; one like any other's of the common tenant if not given.
        """
        self._accounts[dispatch] = _Account(share or Share(self._common))

    def leave(self, dispatch: Dispatch) -> None:
        """Let a model take part no more; its batches that fly still land."""
        self._accounts.pop(dispatch, None)

    @property
    def dispatches(self) -> list[Dispatch]:
        """The models that take part."""
        return list(self._accounts)

    @property
    def expected_free_at(self) -> float:
        """When the device is expected to take the next batch, in monotonic seconds.

        The past when it is idle, infinity while the slot is taken.
        """
        if not self.flights:
            return -math.inf
        running = self.flights[0]
        if len(self.flights) == SLOTS or running.started is None:
            return math.inf
        return running.started + running.batch.expected_s

    def step(self, now: float) -> Turn:
        """Decide and carry it out: shed works are gone, the batch flies.

        A flight must be handed to the device; call again until there is none.
        """
        free_at = self.expected_free_at
        shed: list[tuple[Dispatch, Shed]] = []
        bids: list[_Bid] = []
        wake_at = math.inf
        self._look(now)
        for dispatch, account in self._accounts.items():
            if not dispatch.queue:
                continue
            decision = dispatch.decide(now, free_at)
            shed.extend((dispatch, one) for one in decision.shed)
            if decision.wake_at is not None:
                wake_at = min(wake_at, decision.wake_at)
            if decision.batch is not None:
                bids.append(_Bid(dispatch, account, decision.batch))
        flight = self._launch(bids, now, max(now, free_at)) if bids else None
        return Turn(tuple(shed), flight, wake_at if wake_at < math.inf else None)

    def land(self, seconds: float | None, now: float) -> Flight:
        """Take the running batch off the device; the one in the slot starts.

        Args:
            seconds: Its run time, or ``None`` where that says nothing about its cost.
            now: When it ended.
        """
        flight = self.flights.popleft()
        if self.flights:
            self.flights[0].started = now
        flight.owner.land(flight, seconds, now)
        account = self._accounts.get(flight.owner)
        if account is not None and flight.started is not None:
            account.note(max(0.0, now - flight.started), now)
        return flight

    def _look(self, now: float) -> None:
        """Note who waits, and what share of the device each can count on."""
        if len(self._accounts) == 1:
            for dispatch in self._accounts:
                dispatch.queue.share = 1.0
            return
        for dispatch, account in self._accounts.items():
            if dispatch.queue and not account.waiting:
                self._level(account)
                account.served_at = now
            account.waiting = not dispatch.idle
        used = {dispatch: account.use(now) for dispatch, account in self._accounts.items()}
        total = sum(used.values())
        claims = self._claims()
        for dispatch in self._accounts:
            others = total - used[dispatch]
            dispatch.queue.share = max(claims.get(dispatch, 1.0), min(1.0, 1.0 - others))

    def _claims(self) -> dict[Dispatch, float]:
        """Return the share of the device that each model is sure of while those wait that do."""
        waiting = {one: each.share for one, each in self._accounts.items() if each.waiting}
        tenants = {share.tenant for share in waiting.values()}
        weights = dict.fromkeys(tenants, 0.0)
        for share in waiting.values():
            weights[share.tenant] += share.weight
        whole = sum(tenant.weight for tenant in tenants)
        return {
            dispatch: share.tenant.weight / whole * share.weight / weights[share.tenant]
            for dispatch, share in waiting.items()
        }

    def _level(self, account: _Account) -> None:
        """Let a model begin to wait with no claim saved up from times without want."""
        waiting = [each for each in self._accounts.values() if each.waiting]
        if not waiting:
            for each in self._accounts.values():
                each.virtual = each.share.tenant.virtual = 0.0
            return
        tenant = account.share.tenant
        fellows = [each.virtual for each in waiting if each.share.tenant is tenant]
        if fellows:
            account.virtual = max(account.virtual, min(fellows))
        else:
            least = min(each.share.tenant.virtual for each in waiting)
            tenant.virtual = max(tenant.virtual, least)

    def _choose(self, bids: list[_Bid], start: float) -> _Bid:
        favoured_before, self._favoured = self._favoured, False
        if len(bids) == 1:
            return bids[0]
        for bid in bids:
            bid.latest_start = _latest_start(bid.dispatch, bid.batch, start)
        starving = [bid for bid in bids if _is_starving(bid, start)]
        if starving and not favoured_before:
            self._favoured = True
            return min(starving, key=lambda bid: bid.account.served_at).won(TurnRule.STARVING)
        by_urgency = sorted(bids, key=lambda bid: (bid.latest_start, _had_by_tenant(bid)))
        if not any(_is_pressed(bid.batch) for bid in bids):
            if _leaves_in_time(by_urgency[0], bids, start, MARGIN):
                return by_urgency[0].won(TurnRule.URGENT)
            for bid in by_urgency[1:]:
                if _leaves_in_time(bid, bids, start, 1.0):
                    return bid.won(TurnRule.HARMLESS)
        tenant = min(by_urgency, key=_had_by_tenant).account.share.tenant
        fellows = (bid for bid in by_urgency if bid.account.share.tenant is tenant)
        return min(fellows, key=_had).won(TurnRule.LEAST_SHARE)

    def _launch(self, bids: list[_Bid], now: float, start: float) -> Flight:
        bid = self._choose(bids, start)
        flight = bid.dispatch.launch(bid.batch, now, started=None if self.flights else now)
        flight.starts_at, flight.turn = start, bid.won_by
        bid.batch = flight.batch  # at the effort that it is held at
        self.flights.append(flight)
        bid.account.served_at = now
        if len(self._accounts) > 1:
            bid.account.virtual = _had(bid)
            bid.account.share.tenant.virtual = _had_by_tenant(bid)
        return flight


def _is_pressed(batch: Batch) -> bool:
    """Say whether a batch is of a queue that cannot meet all in full.

    Urgency is no guide then: such a queue is always in a hurry, and who has time would be held up
    until there is none. And what is late already would have to stand back for ever.
    """
    return batch.late or batch.degraded or batch.rule is Rule.PARTED


def _latest_start(dispatch: Dispatch, batch: Batch, start: float) -> float:
    seconds = dispatch.cost.predict(batch.tokens, len(batch.entries), batch.effort.name)
    needed_s = seconds + dispatch.settings.publish_reserve_ms / 1e3
    latest = (entry.work.deadline - needed_s for entry in batch.entries)
    if batch.late:
        latest = (each for each in latest if each >= start)
    return min(latest, default=math.inf)


def _leaves_in_time(bid: _Bid, bids: Iterable[_Bid], start: float, times: float) -> bool:
    """Say whether all others could still start after ``times`` as long as a bid's batch runs."""
    end = start + times * bid.batch.expected_s
    return all(other is bid or end <= other.latest_start for other in bids)


def _is_starving(bid: _Bid, start: float) -> bool:
    return start - bid.account.served_at > bid.dispatch.settings.ageing_ms / 1e3


def _had_by_tenant(bid: _Bid) -> float:
    """Return what a tenant will have had for its weight once a batch has run."""
    tenant = bid.account.share.tenant
    return tenant.virtual + bid.batch.expected_s / tenant.weight


def _had(bid: _Bid) -> float:
    """Return what a model will have had for its weights once a batch has run."""
    account = bid.account
    return account.virtual + bid.batch.expected_s / (account.share.weight * _mean_weight(bid))


def _mean_weight(bid: _Bid) -> float:
    weights = bid.dispatch.settings.priority_weights
    works = [entry.work for entry in bid.batch.entries]
    tokens = sum(max(1, work.tokens) for work in works)
    return sum(max(1, work.tokens) * weights[work.priority] for work in works) / tokens
