"""The queue as the next batch will find it: candidate batches, and what each would lose."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heapreplace, merge
from itertools import accumulate, islice
from operator import itemgetter
from typing import NamedTuple

from inference.cost import Coefficients
from inference.plan import LEAST_BATCH_S, MISFITS, Plan, enough_tokens
from inference.queue import DeadlineQueue, Entry, Line
from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy

HORIZONS = 8
"""Sizes of a batch for throughput that are compared."""
GOOD_RATE = 0.95
"""The smallest batch with this share of the best throughput will do."""
SPARE = 0.25
MOST_SPARE_S = 0.002
"""Where not all can be met, members of a batch for throughput have this share of its length to
spare, and this much at most: of works that will be lost in part, those on the brink are as well."""
_KEY = itemgetter(0)
MOST_STEPS = 32
"""An estimate of losses looks this many batches ahead at most."""


class Losses(NamedTuple):
    """Waiting tokens that would miss their deadlines.

    Attributes:
        now: Because they are due too soon.
        later: Because more is waiting than the device can do in time.
    """

    now: float
    later: float


class Outlook:
    """The queue as it will be when the device is free, seen through the cost curves.

    A work may have taken over a turn whose own time has passed. Its key then says that it is dead,
    its deadline that it is not: such *overdue* works come first in their line.

    Args:
        start: Monotonic seconds at which the next batch can start.
        costs: Cost curve per effort, full effort first.
    """

    def __init__(
        self,
        queue: DeadlineQueue,
        start: float,
        costs: Sequence[Coefficients],
        settings: SchedulerSettings,
    ) -> None:
        self.start = start
        self.costs = costs
        self.lines = queue.lines
        self.mean_tokens = max(1.0, queue.mean_tokens)
        self._share = queue.share
        self._settings = settings
        self._reserve = settings.publish_reserve_ms / 1e3
        self._alive = [[line.before(self._least_key(line, 0)) for line in self.lines]]
        self._overdue = [
            self._find_overdue(line, alive)
            for line, alive in zip(self.lines, self._alive[0], strict=True)
        ]
        self._dues: list[list[list[float]]] = []
        self._losses: dict[tuple[int, int, float], tuple[Plan, Losses]] = {}
        self._overdue_sequences = {entry.sequence for overdue in self._overdue for entry in overdue}

    def _least_key(self, line: Line, level: int) -> float:
        """Return the least key of works that can still meet their deadlines at an effort."""
        cost = self.costs[level if self.allows(line, level) else 0]
        # Keys hold the price of a token at full effort.
        cheaper_s = (self.costs[0].per_token_s - cost.per_token_s) * line.mean_tokens
        return self.start + self._reserve + cost.fixed_s + cost.per_event_s - cheaper_s

    def _find_overdue(self, line: Line, alive: int) -> list[Entry]:
        if not line.inheriting:
            return []
        least = self._least_key(line, 0)
        return [entry for entry in line.entries[:alive] if entry.inherits and entry.due >= least]

    def alive(self, level: int) -> list[int]:
        """Return per line the index from which works can still meet their deadlines.

        Works that may not be run at the effort have to do it at full effort.
        """
        for following in range(len(self._alive), level + 1):
            self._alive.append(
                [line.before(self._least_key(line, following)) for line in self.lines]
            )
        return self._alive[level]

    def doubtful(self) -> Iterator[Entry]:
        """Yield the works that full effort cannot finish in time, or only just; none that are late.

        Lines of :attr:`OverloadPolicy.LATE` hold no doubts: what is late there still runs.
        """
        for line, alive in zip(self.lines, self.alive(0), strict=True):
            if alive and line.policy is not OverloadPolicy.LATE:
                yield from self._without_overdue(line.entries[:alive])

    def late(self) -> list[Entry]:
        """Return the works to run although they are late, the latest first; a batch's worth."""
        parts = [
            self._without_overdue(line.entries[:alive])[: self._most]
            for line, alive in zip(self.lines, self.alive(0), strict=True)
            if alive and line.policy is OverloadPolicy.LATE
        ]
        return list(merge(*parts))

    def front(self, number: int, level: int) -> Entry | None:
        """Return a line's work with the least slack of those in time at an effort."""
        waiting = self._waiting(number, self.alive(level)[number])
        return min(waiting, key=self.key_of, default=None)

    def tight(self, level: int, *, among: Sequence[bool] | None = None) -> Plan:
        """Plan around the work with the least slack: right while all can be met.

        Args:
            level: The effort.
            among: Which lines' works to choose from; of all if not given.
        """
        parts = [
            self._waiting(number, alive)
            for number, (line, alive) in enumerate(zip(self.lines, self.alive(level), strict=True))
            if self.allows(line, level) and (among is None or among[number])
        ]
        return self.plan(level).fill(parts[0] if len(parts) == 1 else merge(*parts))

    def wide(self, level: int, *, among: Sequence[bool] | None = None) -> Plan:
        """Plan for throughput: pass over works so tight that they would keep the batch small.

        Args:
            level: The effort.
            among: Which lines' works to choose from; of all if not given.
        """
        horizon = self._horizon(level)
        least = self.start + self._reserve + horizon + min(SPARE * horizon, MOST_SPARE_S)
        parts = [
            self._waiting(number, max(alive, line.before(least)), least)
            if self.allows(line, level) and (among is None or among[number])
            else []
            for number, (line, alive) in enumerate(zip(self.lines, self.alive(level), strict=True))
        ]
        return self.plan(level).fill(self._by_weight(parts))

    def plan(self, level: int) -> Plan:
        """Return an empty plan at an effort."""
        cost = self.costs[level]
        return Plan(level, cost, self.start, self.enough_tokens(cost), self._settings)

    def allows(self, line: Line, level: int) -> bool:
        """Say whether a line's works may be run at an effort."""
        return level == 0 or line.policy is OverloadPolicy.DEGRADE

    def helps(self, level: int, than: int) -> bool:
        """Say whether an effort's throughput is well above another's."""
        enough = self.enough_tokens(self.costs[than])
        return self._seconds(level, enough) <= GOOD_RATE * self._seconds(than, enough)

    def leader(self) -> Line | None:
        """Return the line whose turn it is by weight and age, among those with works in time."""
        able = [
            line
            for line, alive, overdue in zip(self.lines, self.alive(0), self._overdue, strict=True)
            if alive < len(line.entries) or overdue
        ]
        return min(able, key=self._turn, default=None)

    def losses(self, plan: Plan, *, delay_s: float = 0.0) -> Losses:
        """Estimate what would miss its deadline once ``plan`` has run.

        Behind it batches of good throughput follow, so that a work is lost that is due before the
        end of the one that it would be part of: after ``k`` of them no more than ``k`` batches'
        worth may have been due before the end of the next. They take longer where the device is
        shared with other models.

        Args:
            plan: What runs first.
            delay_s: Time in which the device does something else before it goes on.
        """
        asked = (id(plan), plan.tokens, delay_s)
        known = self._losses.get(asked)
        if known is None:
            # With the plan, or another could come to lie at its place in memory.
            known = self._losses[asked] = (plan, self._estimate(plan, delay_s))
        return known[1]

    def _estimate(self, plan: Plan, delay_s: float) -> Losses:
        level = plan.level
        counted = [
            (line.entries, alive, dues, line.mean_tokens)
            for line, alive, dues in self._counted(level)
        ]
        remaining = sum(
            (max(0, len(entries) - alive) + len(dues)) * mean
            for entries, alive, dues, mean in counted
        )
        remaining -= plan.tokens
        if remaining <= 0.0:
            return Losses(0.0, 0.0)
        batch = min(remaining, self.enough_tokens(self.costs[level]))
        seconds = self._seconds(level, batch) / self._share
        keys = sorted((self.key_of(entry), entry.work.tokens) for entry in plan.entries)
        taken = [0, *accumulate(tokens for _, tokens in keys)]
        first_key = self.start + self._reserve + plan.seconds + delay_s
        losses = []
        # In an overload this loop is most of what deciding costs.
        for done in range(min(MOST_STEPS, math.ceil(remaining / batch))):
            left = remaining - done * batch
            last = seconds if left >= batch else self._seconds(level, left) / self._share
            key = first_key + done * seconds + last
            due = -float(taken[bisect_left(keys, (key,))])
            for entries, alive, dues, mean in counted:
                before = max(0, bisect_left(entries, key, key=_KEY) - alive)
                due += (before + bisect_left(dues, key)) * mean if dues else before * mean
            losses.append(due - done * batch)
        now = max(0.0, losses[0])
        return Losses(now, max(0.0, max(losses[1:], default=0.0) - now))

    def is_saturated_after(self, plan: Plan) -> bool:
        """Say whether losses are due to the load as a whole, not to some works come too late."""
        now, later = self.losses(plan)
        return later > self.mean_tokens or now > self.enough_tokens(self.costs[plan.level])

    def enough_tokens(self, cost: Coefficients) -> float:
        """Return the size from which on throughput hardly improves, within the bounds."""
        return enough_tokens(cost, self.mean_tokens, self._settings)

    @property
    def _most(self) -> int:
        return self._settings.max_batch_events + MISFITS

    def _seconds(self, level: int, tokens: float) -> float:
        return self.costs[level].seconds(tokens, tokens / self.mean_tokens)

    def tokens_before(self, level: int, key: float) -> list[float]:
        """Estimate, line by line, the tokens of works in time whose key is smaller."""
        return [
            (
                max(0, (len(line.entries) if math.isinf(key) else line.before(key)) - alive)
                + bisect_left(dues, key)
            )
            * line.mean_tokens
            for line, alive, dues in self._counted(level)
        ]

    def taken_before(self, plan: Plan, key: float) -> int:
        """Return the tokens of a plan's works whose key is smaller."""
        return sum(entry.work.tokens for entry in plan.entries if self.key_of(entry) < key)

    def latest_key(self, seconds: float) -> float:
        """Return the least key of a work that may end so many seconds after the start."""
        return self.start + self._reserve + seconds

    def slack_of(self, plan: Plan) -> float:
        """Return for how long a plan could wait and still be in time."""
        return plan.due - self.start - plan.seconds

    def batch_seconds(self, level: int) -> float:
        """Return what a batch of good throughput takes, longer where the device is shared."""
        return self._seconds(level, self.enough_tokens(self.costs[level])) / self._share

    def token_seconds(self, level: int) -> float:
        """Return what a token takes in such batches."""
        return self.batch_seconds(level) / self.enough_tokens(self.costs[level])

    def _tokens_from(self, level: int, key: float) -> float:
        """Estimate the tokens that may run at an effort and whose key is not smaller."""
        return sum(
            (len(line.entries) - max(alive, line.before(key)) + len(dues) - bisect_left(dues, key))
            * line.mean_tokens
            for line, alive, dues in self._counted(level)
            if self.allows(line, level)
        )

    def _counted(self, level: int) -> Iterator[tuple[Line, int, list[float]]]:
        """Yield lines with where their living works begin, and the own keys of overdue ones."""
        alive = self.alive(level)
        for following in range(len(self._dues), level + 1):
            passed = (self._passed(*one) for one in enumerate(self.alive(following)))
            self._dues.append([sorted(entry.due for entry in each) for each in passed])
        return zip(self.lines, alive, self._dues[level], strict=True)

    def _passed(self, number: int, first: int) -> list[Entry]:
        """Return a line's overdue works among the entries before an index."""
        overdue = self._overdue[number]
        entries = self.lines[number].entries
        if not overdue or first >= len(entries):
            return overdue
        return overdue[: bisect_left(overdue, entries[first])]

    def _waiting(self, number: int, first: int, least: float = -math.inf) -> list[Entry]:
        """Return a batch's worth of a line from an index on, overdue works before it included.

        Args:
            number: The line's.
            first: Index of the first entry that counts by its place.
            least: The least key by its own deadline that an overdue work must have.
        """
        passed = self._passed(number, first)
        ahead = list(islice((entry for entry in passed if entry.due >= least), self._most))
        return ahead + self.lines[number].entries[first : first + self._most]

    def _without_overdue(self, entries: list[Entry]) -> list[Entry]:
        if not self._overdue_sequences:
            return entries
        return [entry for entry in entries if entry.sequence not in self._overdue_sequences]

    def key_of(self, entry: Entry) -> float:
        """Return the key that a work counts by: its place's, or its own once it is overdue."""
        return entry.due if entry.sequence in self._overdue_sequences else entry.key

    def _horizon(self, level: int) -> float:
        """Return the least slack in seconds that a member needs for a batch of good throughput."""
        enough = self.enough_tokens(self.costs[level])
        longest = self._seconds(level, enough)
        rates = []
        for step in range(1, HORIZONS + 1):
            horizon = longest * step / HORIZONS
            waiting = self._tokens_from(level, self.start + self._reserve + horizon)
            tokens = min(waiting, enough * step / HORIZONS)
            seconds = self._seconds(level, tokens)
            rates.append((tokens / seconds if seconds > 0.0 else 0.0, horizon))
        good, least = GOOD_RATE * max(rates)[0], min(longest, LEAST_BATCH_S)
        return next(
            (horizon for rate, horizon in rates if rate >= good and horizon >= least), longest
        )

    def _by_weight(self, parts: Sequence[list[Entry]]) -> Iterator[Entry]:
        """Yield works, given line by line, as the lines' weights share the device out."""
        heap: list[tuple[tuple[bool, float], int, int]] = [
            (self._turn(line), number, 0) for number, line in enumerate(self.lines) if parts[number]
        ]
        heapify(heap)
        while heap:
            (_, virtual), number, at = heap[0]
            line = self.lines[number]
            entry = parts[number][at]
            yield entry
            if at + 1 < len(parts[number]):
                turn = (True, virtual + entry.work.tokens / line.weight)
                heapreplace(heap, (turn, number, at + 1))
            else:
                heappop(heap)

    def _turn(self, line: Line) -> tuple[bool, float]:
        """Order lines: those that got nothing for too long, then those with the least share."""
        starving = self.start - line.served_at > self._settings.ageing_ms / 1e3
        return (not starving, line.virtual)
