"""What ``headrace top`` shows at one moment, as plain values, which are drawn or printed."""

import msgspec


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """Results of a span of time, by verdict."""

    on_time: int = 0
    degraded: int = 0
    late: int = 0
    shed: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.on_time + self.degraded + self.late + self.shed

    @property
    def share_in_budget(self) -> float | None:
        """Share that was published before its deadline, 0 to 1; ``None`` of none."""
        return (self.on_time + self.degraded) / self.total if self.total else None


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A label, and its share of the results that have one."""

    label: str
    share: float


class TopicRow(msgspec.Struct, frozen=True, kw_only=True):
    """An input topic and the results of its events."""

    topic: str
    rate_in: float | None
    """Events a second that came into the topic; ``None`` before that can be said."""
    rate_out: float | None
    """Results a second; likewise."""
    lag: int
    """Events that the group has not committed."""
    verdicts: Verdicts
    share_in_budget: float | None
    """0 to 1."""
    p50_ms: float | None
    """Of the results that are not shed; likewise the next."""
    p99_ms: float | None
    budget_ms: float | None
    """That of most results."""
    labels: tuple[Label, ...] = ()
    """The most frequent first."""
    dead_letters_per_s: float | None = None


class PartitionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A partition of an input topic."""

    topic: str
    partition: int
    lag: int
    committed: int | None
    end: int
    member: str | None
    """Id of the member that has it."""


class WorkerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A member of the group.

    Results do not name who made them: they count for whoever has the partition that their event
    came from.
    """

    member: str
    client: str
    host: str
    partitions: int
    lag: int
    rate_out: float | None
    verdicts: Verdicts


class InstanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever answers at a ``/metrics`` URL: a worker, or the supervisor of several."""

    url: str
    problem: str | None = None
    """Why nothing else is known of it."""
    ready: int = 0
    """Processes that can classify."""
    partitions: int = 0
    paused: int = 0
    in_flight: int = 0
    queued: int = 0
    restarts: int = 0
    """Of processes, since the supervisor's start."""
    rate_in: float | None = None
    """Events a second that were taken in; ``None`` before that can be said."""
    verdicts: Verdicts | None = None
    """Of the span of time; ``None`` before there are two looks at it."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    group: str
    state: str
    """Of the group, in the broker's words."""
    window_s: float
    """How far back rates, verdicts, latencies and labels look."""
    topics: tuple[TopicRow, ...]
    partitions: tuple[PartitionRow, ...]
    """Those furthest behind first."""
    workers: tuple[WorkerRow, ...]
    instances: tuple[InstanceRow, ...]
    notes: tuple[str, ...] = ()
    """What is missing, wrong or not known, and what to do."""
