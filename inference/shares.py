"""What each queue may have of a shared device: by weight where all want it, by quota at most."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

BURST_S = 1.0
"""What was not used of a quota is saved up for this long."""
BATCH_S = 0.01
"""One that was used up lets nothing run until there is so much of it again: its batches would
otherwise be of single events, which take the device far longer."""


class Quota:
    """Tokens per second, as a token bucket that may be overdrawn by one work.

    Full at first. What is overdrawn has to come in before the next batch, so the long-run rate is
    met exactly.

    Args:
        tokens_per_s: Above 0.
        owner: Whose it is, for people.
    """

    def __init__(self, tokens_per_s: float, owner: str) -> None:
        self.tokens_per_s = tokens_per_s
        self.owner = owner
        self._most = tokens_per_s * BURST_S
        self._level = self._most
        self._at = -math.inf

    def ready_at(self, now: float) -> float:
        """Return when the next batch may start, in monotonic seconds; the past if it may now."""
        self._fill(now)
        missing = self.tokens_per_s * BATCH_S - self._level
        return now + missing / self.tokens_per_s if missing > 0.0 else -math.inf

    def room(self, now: float) -> float:
        """Return the tokens that a batch may have without overdrawing; not above 0 before then."""
        self._fill(now)
        return self._level

    def charge(self, tokens: int, now: float) -> None:
        """Take a batch's tokens."""
        self._fill(now)
        self._level -= tokens

    def __str__(self) -> str:
        return f"{self.owner}'s quota of {self.tokens_per_s:g} tokens/s"

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self._most, self._level + (now - self._at) * self.tokens_per_s)
            self._at = now


@dataclass(slots=True, eq=False)
class Tenant:
    """Those whose works have one claim to the device together.

    Attributes:
        weight: Of the claim, beside other tenants'.
        quota: Most that its queues may use together; ``None`` for no limit.
        virtual: Seconds of the device so far divided by the weight; the least is next.
    """

    name: str = ""
    weight: float = 1.0
    quota: Quota | None = None
    virtual: float = field(default=0.0, init=False)


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The claim of one queue.

    Attributes:
        tenant: Has the claim; its queues divide it among them.
        weight: Of this queue beside its tenant's others.
        quota: Most that this queue may use; ``None`` for no limit but the tenant's.
    """

    tenant: Tenant
    weight: float = 1.0
    quota: Quota | None = None

    @property
    def quotas(self) -> tuple[Quota, ...]:
        """All that bind it."""
        return tuple(each for each in (self.quota, self.tenant.quota) if each is not None)


def binding(quotas: Iterable[Quota], now: float) -> tuple[float, Quota | None]:
    """Return when the last of several quotas lets a batch start, and which; the past for none."""
    latest, by = -math.inf, None
    for quota in quotas:
        ready_at = quota.ready_at(now)
        if ready_at > latest:
            latest, by = ready_at, quota
    return latest, by
