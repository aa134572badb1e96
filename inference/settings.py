"""What the deadline scheduler can be told."""

import math
from dataclasses import dataclass

from inference.work import PRIORITY_LEVELS
from schemas.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSettings:
    """Bounds and margins of queue, batches and device.

    Raises:
        ConfigurationError: A value is out of its limits.
    """

    max_queue_tokens: int = 65_536
    """Tokens that may wait; at this mark the caller stops offering, at half of it resumes."""
    max_batch_tokens: int = 4_096
    """Most tokens in one batch; a single longer event still runs, alone."""
    max_batch_events: int = 128
    """Most events in one batch."""
    publish_reserve_ms: float = 5.0
    """Set aside for the way from the end of a batch to the published result."""
    prepare_lead_ms: float = 2.0
    """The next batch is formed this long before the device is expected to be free."""
    priority_weights: tuple[float, ...] = tuple(float(2**level) for level in range(PRIORITY_LEVELS))
    """Shares of the device that priorities 0 to 9 get of each other when not all can be met."""
    ageing_ms: float = 500.0
    """A priority class, or late work, that got nothing for this long goes first once."""
    effort_hold_ms: float = 50.0
    """Effort that fell under overload stays for so long on each rung on its way up again; 0 lets it
    change with every batch."""
    cost_quantile: float = 0.95
    """Share of batches that should run no longer than predicted."""
    warmup_ms: float = 3_000.0
    """Most time that the first measurement of the engine's cost may take."""
    batch_strategy: str | None = None
    """How batches are chosen: ``dynamic_priority``, ``fifo``, ``static`` or what another package
    adds; unset for the model's own choice, ``dynamic_priority`` unless it names another."""
    device_timeout_ms: float = 60_000.0
    """A batch that runs longer than this makes the scheduler fail instead of waiting for ever."""

    def __post_init__(self) -> None:
        for name in ("max_queue_tokens", "max_batch_tokens", "max_batch_events"):
            self._require(name, getattr(self, name) >= 1, "give a whole number of 1 or more")
        for name in ("publish_reserve_ms", "prepare_lead_ms", "warmup_ms", "effort_hold_ms"):
            self._require(name, _finite(getattr(self, name), 0.0), "give milliseconds of 0 or more")
        for name in ("ageing_ms", "device_timeout_ms"):
            positive = _finite(getattr(self, name), 0.0) and getattr(self, name) > 0
            self._require(name, positive, "give milliseconds above 0")
        weights = self.priority_weights
        self._require(
            "priority_weights",
            len(weights) == PRIORITY_LEVELS and all(_finite(w, 0.0) and w > 0 for w in weights),
            f"give {PRIORITY_LEVELS} numbers above 0, for priorities 0 to {PRIORITY_LEVELS - 1}",
        )
        self._require(
            "cost_quantile",
            0.5 <= self.cost_quantile < 1,  # noqa: PLR2004 - the median is the least tail
            "give a share from 0.5 to below 1, such as 0.95",
        )

    def _require(self, name: str, holds: bool, remedy: str) -> None:  # noqa: FBT001 - the condition
        if not holds:
            raise ConfigurationError(f"scheduler.{name} = {getattr(self, name)!r}: {remedy}")


def _finite(value: float, least: float) -> bool:
    return math.isfinite(value) and value >= least
