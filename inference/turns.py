"""Whose batch runs next, where several models share one device.

Each model decides about its own queue as if the device were its own: batches hold works of one
model alone, and costs are learned per model. Of the batches that are proposed at a moment

1. the most urgent runs, as long as that leaves all others in time (earliest deadline first);
2. else one that makes no other late;
3. else the device is overloaded, and the model that has had the least of it goes first, its seconds
   divided by the weights of its works' priorities. So a flooded model misses its own deadlines, not
   those of a model that asks for no more than its share.

A model that waits and got nothing for ``ageing_ms`` goes before all that.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from inference.batcher import Batch, Shed
from inference.dispatch import Dispatch, Flight
from inference.explaining import TurnRule

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
        virtual: Seconds divided by the mean weight of the works; the least is next.
        served_at: When a batch of it last flew, or when it last began to wait.
        waiting: It had work at the last look.
        recent_s: Seconds on the device, those of long ago forgotten, as of ``recent_at``.
    """

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
        self._accounts: dict[Dispatch, _Account] = {each: _Account() for each in dispatches}

    def join(self, dispatch: Dispatch) -> None:
        """Let a model take part."""
        self._accounts[dispatch] = _Account()

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
        active = sum(account.waiting for account in self._accounts.values())
        used = {dispatch: account.use(now) for dispatch, account in self._accounts.items()}
        total = sum(used.values())
        for dispatch in self._accounts:
            others = total - used[dispatch]
            dispatch.queue.share = max(1.0 / max(1, active), min(1.0, 1.0 - others))

    def _level(self, account: _Account) -> None:
        """Let a model begin to wait with no claim saved up from times without want."""
        waiting = [each.virtual for each in self._accounts.values() if each.waiting]
        if waiting:
            account.virtual = max(account.virtual, min(waiting))
            return
        for each in self._accounts.values():
            each.virtual = 0.0

    def _choose(self, bids: list[_Bid], start: float) -> _Bid:
        if len(bids) == 1:
            return bids[0]
        for bid in bids:
            bid.latest_start = _latest_start(bid.dispatch, bid.batch, start)
        starving = [bid for bid in bids if _is_starving(bid, start)]
        if starving:
            return min(starving, key=lambda bid: bid.account.served_at).won(TurnRule.STARVING)
        by_urgency = sorted(bids, key=lambda bid: (bid.latest_start, bid.account.virtual))
        if _leaves_in_time(by_urgency[0], bids, start, MARGIN):
            return by_urgency[0].won(TurnRule.URGENT)
        for bid in by_urgency[1:]:
            if _leaves_in_time(bid, bids, start, 1.0):
                return bid.won(TurnRule.HARMLESS)
        return min(by_urgency, key=lambda bid: bid.account.virtual).won(TurnRule.LEAST_SHARE)

    def _launch(self, bids: list[_Bid], now: float, start: float) -> Flight:
        bid = self._choose(bids, start)
        flight = bid.dispatch.launch(bid.batch, now, started=None if self.flights else now)
        flight.starts_at, flight.turn = start, bid.won_by
        self.flights.append(flight)
        bid.account.served_at = now
        if len(self._accounts) > 1:
            bid.account.virtual += bid.batch.expected_s / _mean_weight(bid)
        return flight


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


def _mean_weight(bid: _Bid) -> float:
    weights = bid.dispatch.settings.priority_weights
    works = [entry.work for entry in bid.batch.entries]
    tokens = sum(max(1, work.tokens) for work in works)
    return sum(max(1, work.tokens) * weights[work.priority] for work in works) / tokens
