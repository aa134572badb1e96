"""The bounded queue of admitted work, ordered by slack within priority classes.

Works lie in lines, one per priority and overload policy, each a list kept sorted by slack. A
sorted list beats a heap here: deadlines mostly arrive in order, so that insertion is an append, and
a batch may begin anywhere in a line (a heap gives its front alone) at the price of one bisection.
A single work is found, and replaced by a newer one about the same subject, at that price too.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from inference.work import OverloadPolicy, Work

PRICE_TOLERANCE = 0.2
"""Share by which the price of a token may move before the keys are computed anew."""


class Turn(NamedTuple):
    """A place in the queue, which a work may take over from one that it supersedes.

    Attributes:
        deadline: Of the work that was first to have the place; a later one's at most.
        sequence: Order of that work's arrival.
    """

    deadline: float
    sequence: int


class Entry(NamedTuple):
    """A work in its line.

    Attributes:
        key: The turn's deadline less what the work's tokens cost, in monotonic seconds. Slack falls
            at the same pace for all, so its order is the order of the keys.
        sequence: Order of arrival; decides between equal keys.
        place: The turn's deadline: the work's own, unless it has taken a turn over.
    """

    key: float
    sequence: int
    work: Work
    place: float

    @property
    def turn(self) -> Turn:
        """Return what a successor would take over."""
        return Turn(self.place, self.sequence)

    @property
    def inherits(self) -> bool:
        """Whether it is due later than its place in the queue says."""
        return self.place != self.work.deadline

    @property
    def due(self) -> float:
        """Return the key that it would have by its own deadline."""
        return self.key + (self.work.deadline - self.place)


_KEY = itemgetter(0)


class Line:
    """The works of one priority and policy, least slack first.

    Attributes:
        tokens: Sum over the works.
        inheriting: How many of the works have taken a turn over.
        virtual: Tokens served so far divided by the weight; the line with the least is next.
        served_at: When a work was last taken, or when the line last came to life.
    """

    __slots__ = (
        "entries",
        "inheriting",
        "policy",
        "priority",
        "served_at",
        "tokens",
        "virtual",
        "weight",
    )

    def __init__(self, priority: int, policy: OverloadPolicy, weight: float) -> None:
        self.priority = priority
        self.policy = policy
        self.weight = weight
        self.entries: list[Entry] = []
        self.tokens = 0
        self.inheriting = 0
        self.virtual = 0.0
        self.served_at = 0.0

    def before(self, key: float) -> int:
        """Return how many entries have a smaller key."""
        return bisect_left(self.entries, key, key=_KEY)

    @property
    def mean_tokens(self) -> float:
        """Tokens per work."""
        return self.tokens / len(self.entries)


class DeadlineQueue:
    """Admitted works that wait for the device.

    Args:
        max_tokens: The mark at which :attr:`room_tokens` is gone; pushing beyond it still works.
        weights: Share of each priority, lowest priority first.

    Attributes:
        tokens: Sum over the works.
        late_served_at: When late works were last taken, in monotonic seconds.
        share: Share of the device that the works behind the next batch can count on, above 0;
            less than 1 while other models have work for it.
    """

    def __init__(self, max_tokens: int, weights: Sequence[float]) -> None:
        self.max_tokens = max_tokens
        self.tokens = 0
        self.late_served_at = -math.inf
        self.share = 1.0
        self._token_s = 0.0
        self._weights = weights
        self._lines: list[list[Line]] = [[] for _ in weights]
        """By priority, one per policy; looked through, as the policies are too slow to hash."""
        self._works = 0
        self._sequence = 0

    def __len__(self) -> int:
        return self._works

    @property
    def room_tokens(self) -> int:
        """Tokens that may still be pushed; never below 0."""
        return max(0, self.max_tokens - self.tokens)

    @property
    def mean_tokens(self) -> float:
        """Tokens per work; 0 when empty."""
        return self.tokens / self._works if self._works else 0.0

    @property
    def lines(self) -> list[Line]:
        """The lines that hold works, the highest priority first."""
        return [line for same in reversed(self._lines) for line in same if line.entries]

    @property
    def earliest_deadline(self) -> float | None:
        """Deadline of the work with the least slack; ``None`` when empty."""
        fronts = [line.entries[0] for line in self.lines]
        return min(fronts).work.deadline if fronts else None

    def push(self, work: Work, now: float, *, turn: Turn | None = None) -> Entry:
        """Add a work at ``now`` monotonic seconds; return its entry.

        Args:
            work: Whose own deadline stays what it must meet.
            now: Monotonic seconds.
            turn: Of a work that has left the queue, to be taken over; ``None`` to queue up.
        """
        line = self._line_of(work)
        entries = line.entries
        if not entries:
            self._level(line)
            line.served_at = now
        tokens, deadline = work.encoded.tokens, work.deadline
        if turn is None:
            self._sequence = sequence = self._sequence + 1
            entry = Entry(deadline - tokens * self._token_s, sequence, work, deadline)
        else:
            entry = self._entry(work, turn._replace(deadline=min(turn.deadline, deadline)))
            line.inheriting += entry.inherits
        insort(entries, entry)
        line.tokens += tokens
        self.tokens += tokens
        self._works += 1
        return entry

    def discard(self, work: Work, turn: Turn) -> None:
        """Remove one work that waits, found by its turn."""
        self._cut(self._line_of(work), [self._entry(work, turn)])

    def reprice(self, token_s: float) -> None:
        """Set what a token costs in seconds; sorts anew when that has changed a good deal."""
        if abs(token_s - self._token_s) <= PRICE_TOLERANCE * self._token_s:
            return
        self._token_s = token_s
        for line in self.lines:
            line.entries = sorted(self._entry(entry.work, entry.turn) for entry in line.entries)

    def take(self, entries: Iterable[Entry], now: float, *, late: bool = False) -> None:
        """Remove works that are going to run and charge their lines for it.

        Args:
            entries: What is taken.
            now: Monotonic seconds.
            late: Some of them are late.
        """
        if late:
            self.late_served_at = now
        for line, taken in self._by_line(entries):
            line.served_at = now
            line.virtual += self._cut(line, taken) / line.weight

    def remove(self, entries: Iterable[Entry]) -> None:
        """Remove works that will not run."""
        for line, gone in self._by_line(entries):
            self._cut(line, gone)

    def withdraw(self, predicate: Callable[[Work], bool]) -> list[Work]:
        """Remove and return every work that the predicate holds for; looks at all of them."""
        withdrawn: list[Work] = []
        for line in self.lines:
            gone = [entry for entry in line.entries if predicate(entry.work)]
            if gone:
                self._cut(line, gone)
                withdrawn.extend(entry.work for entry in gone)
        return withdrawn

    def _level(self, line: Line) -> None:
        """Let a line come to life with no claim saved up, and no debt from times without want.

        The least share of those that wait is the measure. Lines served out of their turn, for age
        or for slack, are far ahead of it; to join those would put an urgent line behind all others.
        """
        waiting = self.lines
        if waiting:
            line.virtual = max(line.virtual, min(other.virtual for other in waiting))
            return
        for same in self._lines:
            for other in same:
                other.virtual = 0.0

    def _by_line(self, entries: Iterable[Entry]) -> list[tuple[Line, list[Entry]]]:
        parts: dict[Line, list[Entry]] = {}
        lines = self.lines
        if len(lines) == 1:
            return [(lines[0], sorted(entries))]
        for entry in entries:
            parts.setdefault(self._line_of(entry.work), []).append(entry)
        return [(line, sorted(part)) for line, part in parts.items()]

    def waiting_like(self, work: Work) -> Line | None:
        """Return the line of a work's priority and policy, if anything waits in it."""
        line = self._line_of(work)
        return line if line.entries else None

    def _line_of(self, work: Work) -> Line:
        priority, policy = work.priority, work.on_overload
        for line in self._lines[priority]:
            if line.policy is policy:
                return line
        line = Line(priority, policy, self._weights[priority])
        self._lines[priority].append(line)
        return line

    def _entry(self, work: Work, turn: Turn) -> Entry:
        key = turn.deadline - work.encoded.tokens * self._token_s
        return Entry(key, turn.sequence, work, turn.deadline)

    def _cut(self, line: Line, gone: list[Entry]) -> int:
        """Remove sorted entries, run by run as most lie side by side; return their tokens."""
        entries, at = line.entries, len(gone)
        if at == len(entries):
            entries.clear()
            at = 0
        while at:
            last = bisect_left(entries, gone[at - 1])
            run = 1
            while run < at and last - run >= 0 and entries[last - run] is gone[at - 1 - run]:
                run += 1
            del entries[last - run + 1 : last + 1]
            at -= run
        tokens = sum([entry.work.encoded.tokens for entry in gone])
        line.tokens -= tokens
        if line.inheriting:
            line.inheriting -= sum(entry.inherits for entry in gone)
        self.tokens -= tokens
        self._works -= len(gone)
        return tokens
