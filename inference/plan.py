"""A batch while it is made up, within its bounds and in time for its tightest member."""

import math
from collections.abc import Iterable
from heapq import merge

from inference.cost import Coefficients
from inference.queue import DeadlineQueue, Entry
from inference.rules import Rule
from inference.settings import SchedulerSettings

FIXED_SHARE = 0.05
"""A batch is large enough when its fixed cost is at most this share of the whole."""
LEAST_BATCH_S = 0.005
"""Batches shorter than this grow all the same; the hand-over between threads costs too."""
MISFITS = 16
"""Works that do not fit are passed over this often before a batch is closed."""


class Plan:
    """A batch that grows while it fits its bounds and its tightest member.

    Args:
        level: Index of the effort.
        cost: Cost curve of that effort.
        start: Monotonic seconds at which the batch would start.
        enough_tokens: Size beyond which throughput no longer improves.

    Attributes:
        due: Monotonic seconds by which the batch must end.
        late: Some members are late whatever is done.
        rule: Why it holds what it does.
    """

    __slots__ = (
        "_enough",
        "_settings",
        "_start",
        "cost",
        "due",
        "entries",
        "late",
        "level",
        "rule",
        "tokens",
    )

    def __init__(
        self,
        level: int,
        cost: Coefficients,
        start: float,
        enough_tokens: float,
        settings: SchedulerSettings,
    ) -> None:
        self.level = level
        self.cost = cost
        self.entries: list[Entry] = []
        self.tokens = 0
        self.due = math.inf
        self.late = False
        self.rule = Rule.TIGHTEST
        self._start = start
        self._enough = enough_tokens
        self._settings = settings

    @property
    def seconds(self) -> float:
        """Predicted run time; 0 when empty."""
        return self.cost.seconds(self.tokens, len(self.entries)) if self.entries else 0.0

    @property
    def rate(self) -> float:
        """Tokens per second; 0 when empty."""
        if not self.entries:
            return 0.0
        seconds = self.seconds
        return self.tokens / seconds if seconds > 0.0 else math.inf

    def hold(self, entries: list[Entry], tokens: int) -> "Plan":
        """Hold works that are known to fit, of so many tokens in all."""
        self.entries, self.tokens = entries, tokens
        return self

    def by(self, rule: Rule) -> "Plan":
        """Say why it holds what it does."""
        self.rule = rule
        return self

    def fill(self, candidates: Iterable[Entry], *, late: bool = False) -> "Plan":
        """Add what fits, in order.

        Args:
            candidates: Works in the order in which they should be considered.
            late: The candidates' own deadlines are beyond rescue and bind the batch no more.
        """
        settings, entries, tokens, due = self._settings, self.entries, self.tokens, self.due
        most_events, most_tokens = settings.max_batch_events, settings.max_batch_tokens
        enough = min(most_tokens, self._enough)
        reserve_s = settings.publish_reserve_ms / 1e3
        fixed_s, per_token_s, per_event_s = self.cost
        start, misfits = self._start, 0
        # The innermost loop of all scheduling; calls and attributes in it cost as much as it does.
        for entry in candidates:
            events = len(entries)
            if tokens >= enough or events >= most_events or misfits > MISFITS:
                break
            work = entry.work
            more = tokens + work.encoded.tokens
            bound = due if late else min(due, work.deadline - reserve_s)
            seconds = fixed_s + per_token_s * more + per_event_s * (events + 1)
            if start + seconds > bound or (more > most_tokens and entries):
                misfits += 1
                continue
            entries.append(entry)
            tokens, due = more, bound
            self.late |= late
        self.tokens, self.due = tokens, due
        return self


def enough_tokens(cost: Coefficients, mean_tokens: float, settings: SchedulerSettings) -> float:
    """Return the size of a batch from which on throughput hardly improves, within the bounds.

    Args:
        cost: Of batches.
        mean_tokens: Per work, above 0.
        settings: The bounds.
    """
    slope = cost.per_token_s + cost.per_event_s / mean_tokens
    most = min(settings.max_batch_tokens, settings.max_batch_events * mean_tokens)
    if slope <= 0.0:
        return most
    amortised = cost.fixed_s * (1.0 / FIXED_SHARE - 1.0) / slope
    return min(most, max(amortised, (LEAST_BATCH_S - cost.fixed_s) / slope))


def plan_all(
    queue: DeadlineQueue, start: float, cost: Coefficients, settings: SchedulerSettings
) -> Plan | None:
    """Return one batch of all that waits, if it is small enough and nobody is in a hurry.

    That is nearly every batch below capacity, and found without an :class:`Outlook`; ``None`` says
    that one is needed.

    Args:
        queue: What waits; not empty.
        start: Monotonic seconds at which the batch would start.
        cost: At full effort.
        settings: The bounds.
    """
    enough = enough_tokens(cost, max(1.0, queue.mean_tokens), settings)
    if queue.tokens > enough or len(queue) > settings.max_batch_events:
        return None
    lines = queue.lines
    end = start + cost.seconds(queue.tokens, len(queue)) + settings.publish_reserve_ms / 1e3
    # No deadline is before its key, nor any key before the first.
    if any(line.inheriting or line.entries[0].key < end for line in lines):
        return None
    parts = [line.entries for line in lines]
    return Plan(0, cost, start, enough, settings).hold(
        list(parts[0]) if len(parts) == 1 else list(merge(*parts)), queue.tokens
    )
