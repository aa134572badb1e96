"""What the demo is told to show."""

from dataclasses import dataclass, field
from pathlib import Path

from schemas.events import Modality
from streams.replay.pacing import MAX_SPEED
from streams.security import Security

EMBEDDED = "embedded"
"""The provider of a broker where none is asked for."""


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """What to show.

    Attributes:
        log: JSONL file; ``None`` for the demo's own.
        speed: Factor on the log's time, or ``max``.
        seconds: Stop sending after so long; ``None`` sends the whole log.
        modalities: What the worker reads. Lines of the log that do not say what they are, are of
            the first.
        fields: Foreign field names by ours, of the first modality.
        models: As of ``headrace run --model``.
        workers: Worker processes.
        provider: Of the broker.
        bootstrap_servers: A broker that is there already.
        security: How to reach that one.
        page: Serve the live page too, and send the log again and again until stopped.
    """

    log: Path | None
    speed: str
    seconds: float | None
    modalities: tuple[Modality, ...] = (Modality.NEWS,)
    fields: dict[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    workers: int = 1
    provider: str = EMBEDDED
    bootstrap_servers: str | None = None
    security: Security = field(default_factory=Security)
    page: bool = False

    @property
    def is_max(self) -> bool:
        """Whether the log is sent as fast as answers come back."""
        return self.speed.strip().lower() == MAX_SPEED

    @property
    def log_modalities(self) -> tuple[Modality, ...]:
        """What the log may hold events of; the demo's own has some of all."""
        return self.modalities if self.log else tuple(Modality)
