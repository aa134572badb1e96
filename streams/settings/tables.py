"""What can be set, as the tables of the file have it; every field says what it is for."""

from typing import Annotated

import msgspec

from inference.result_cache import Cache
from inference.revisions import Revisions
from inference.settings import SchedulerSettings
from inference.trial import Isolation
from inference.work import OverloadPolicy
from schemas.events import Modality
from streams.apps.settings import AppsSettings
from streams.connection import Connection
from streams.delivery.mode import DeliveryMode
from streams.entities.settings import Entities
from streams.gateway.settings import GatewaySettings
from streams.lane.breaker import BreakerSettings
from streams.lane.sources import Cameras, Sources, Transcripts
from streams.offsets import Bounds
from streams.redaction.settings import Redaction
from streams.security import Security
from streams.tracing.settings import TracingSettings
from streams.webhooks.settings import Webhook, check_names

PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=3_600_000)]
Weight = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
Tokens = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
TopicName = Annotated[str, msgspec.Meta(pattern=r"^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$")]


class Budgets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Milliseconds from an event's Kafka timestamp to its result, where the event names none."""

    news: Milliseconds = 150.0
    """Headlines."""
    transcript: Milliseconds = 200.0
    """Transcript segments."""
    camera: Milliseconds = 100.0
    """Camera images."""

    def of(self, modality: Modality) -> float:
        """Return the budget of one modality in milliseconds."""
        budget: float = getattr(self, modality.value)
        return budget


NO_MODEL = "none"
"""In place of a model: the modality is not served."""


class Models(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Model of each modality: a directory, the name of a checkpoint that ships, or ``none``.

    What is unset is ``every``, or else the checkpoint that ships for the modality, if one does.
    """

    news: str | None = None
    """Of headlines."""
    transcript: str | None = None
    """Of transcript segments."""
    camera: str | None = None
    """Of camera images."""
    every: str | None = None
    """Of every modality that it can read and that has none of its own; instead of those that
    ship."""

    def named(self, modality: Modality) -> str | None:
        """Return what is set for one modality."""
        path: str | None = getattr(self, modality.value)
        return path


class Topic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input topic, where the topics to serve are listed; unset fields as for all others."""

    name: TopicName
    """Of the topic that events come in on."""
    modality: Modality
    """What its events are."""
    model: str | None = None
    """A directory, or the name of a checkpoint that ships; unset for its modality's."""
    results: TopicName | None = None
    """Topic of its results; unset for its name with ``results.`` in place of ``events.``, or in
    front."""
    dead_letters: TopicName | None = None
    """Topic of what cannot be classified; unset for its name and ``.dlq``."""
    budget_ms: Milliseconds | None = None
    """Budget of events that name none."""
    on_overload: OverloadPolicy | None = None
    """What to do with events that cannot be on time, where the event itself does not say."""
    tenant: str | None = None
    """Whose it is, by name of a table under ``tenants``; unset for nobody's in particular."""
    weight: Weight = 1.0
    """Share of the device beside other topics of the same tenant, when not all can be met."""
    quota_tokens_per_s: Tokens | None = None
    """Most tokens of it that are run in a second; unset for no limit."""
    transcripts: Transcripts | None = None
    """Instead of the setting of that name."""
    cameras: Cameras | None = None
    """Instead of the setting of that name."""


class Tenant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody whose topics have one claim to the device together."""

    weight: Weight = 1.0
    """Share of the device beside other tenants, when not all can be met."""
    quota_tokens_per_s: Tokens | None = None
    """Most tokens of all its topics that are run in a second; unset for no limit."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a worker can be told."""

    bootstrap_servers: Annotated[str, msgspec.Meta(min_length=1)] = "localhost:9092"
    """``host:port`` of the brokers, several separated by commas."""
    security: Security = Security()
    """TLS, and how to log in to the brokers."""
    group: Annotated[str, msgspec.Meta(min_length=1)] = "headrace"
    """Consumer group; workers of one group share the partitions."""
    modalities: Annotated[tuple[Modality, ...], msgspec.Meta(min_length=1)] | None = None
    """Which input topics to serve; unset for those of all modalities that have a model."""
    topics: tuple[Topic, ...] = ()
    """Input topics to serve, in place of one for each modality; those of ``modalities`` alone, if
    that is set. A list of tables in the file."""
    tenants: dict[str, Tenant] = msgspec.field(default_factory=dict)
    """By name, those who have topics. A table of tables in the file."""
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    """Processes to start, each a member of the group; one per core is right."""
    partitions: PositiveInt = 8
    """Partitions of the topics that headrace creates itself."""
    create_topics: bool = True
    """Create missing topics; otherwise a missing topic ends the start with an error."""
    budgets: Budgets = Budgets()
    """Default budget of each modality."""
    models: Models = Models()
    """Model of each modality."""
    on_overload: OverloadPolicy = OverloadPolicy.DEGRADE
    """What to do with events that cannot be on time, where the event itself does not say."""
    scheduler: SchedulerSettings = msgspec.field(default_factory=SchedulerSettings)
    """Queue and batches."""
    transcripts: Transcripts = Transcripts()
    """Interim texts, and what is read with a segment."""
    cameras: Cameras = Cameras()
    """Images of one camera."""
    cost_state: str | None = None
    """Directory in which a worker keeps what batches cost on this machine, so that it is ready
    sooner the next time; unset keeps nothing."""
    state_dir: str | None = None
    """Directory in which workers note what they work on, for those that come after a crash; unset
    for one of the user's in the temporary directory. Workers may share it."""
    isolation: Isolation = Isolation()
    """Events that workers died over."""
    breaker: BreakerSettings = BreakerSettings()
    """Topics whose events become dead letters."""
    cache: Cache = Cache()
    """Content that comes again."""
    revisions: Revisions = Revisions()
    """Second answers to degraded and shed events."""
    entities: Entities = Entities()
    """Companies in news."""
    redaction: Redaction = Redaction()
    """What is masked in what is published."""
    delivery: DeliveryMode = DeliveryMode.AT_LEAST_ONCE
    """Whether an answer may come again after a fault, or each is seen exactly once by those who
    read committed records only."""
    transaction_ms: Milliseconds | None = None
    """Under ``exactly_once``, least time from one transaction of a partition to its next. Longer
    ones cost less and keep results waiting. Unset for 3 ms for each partition that a worker owns,
    and 0.15 of the topic's budget at most."""
    preserve_ordering: bool = False
    """Whether answers to events of the same key leave in the order of the events; the model works
    on them as they suit it, and keys do not wait for each other."""
    commit_interval_ms: Milliseconds = 200.0
    """How often finished offsets are committed; ``exactly_once`` does that with the results."""
    drain_ms: Milliseconds = 5_000.0
    """How long a stop or a rebalance may wait for admitted events to finish."""
    max_in_flight_events: PositiveInt = 20_000
    """Events taken in and not answered, in one process, at which it takes no more; what waits as
    text for the model is bounded in tokens besides, by ``scheduler.max_queue_tokens``."""
    max_in_flight_mib: PositiveInt = 256
    """Size of their records at which it takes no more; what one more poll brings comes on top."""
    max_poll_records: PositiveInt = 100
    """Most records of a topic taken from the broker at once; results wait while these are
    decoded."""
    idle_pause_ms: Annotated[float, msgspec.Meta(ge=0, le=1_000)] = 0.0
    """Rest between polls that find nothing. For a broker that answers empty fetches at once, as the
    embedded one does: a worker would otherwise spend a core on asking. It adds to latency."""
    session_timeout_ms: PositiveInt = 10_000
    """Silence after which the broker gives a dead worker's partitions to others."""
    group_instance_id: str | None = None
    """Static membership: under this name, its own in the group, a worker that comes back within
    ``session_timeout_ms`` gets its partitions again without disturbing the others. Until then
    nobody has them, after a stop too. Of ``workers``, each gets ``-0``, ``-1``, … appended."""
    stall_ms: Milliseconds = 30_000.0
    """Lag without progress for this long makes the watchdog rebuild the consumer."""
    connect_timeout_ms: Milliseconds = 30_000.0
    """How long to keep trying to reach the broker at start."""
    request_timeout_ms: PositiveInt = 30_000
    """How long the broker may take to acknowledge a result before the worker gives up."""
    max_record_bytes: Annotated[int, msgspec.Meta(ge=1_048_576, le=100_000_000)] = 16 * 1024 * 1024
    """Largest record of the topics created here; what is too large to be an event still fits, so
    that it can become a dead letter with its bytes."""
    metrics_host: str = "127.0.0.1"
    """Address that /metrics, /healthz and /readyz listen on."""
    metrics_port: Port | None = None
    """Port of /metrics, /healthz and /readyz; unset leaves them off, 0 takes a free one."""
    gateway: GatewaySettings = GatewaySettings()
    """Of `headrace gateway`; workers have no use for it."""
    apps: AppsSettings = msgspec.field(default_factory=AppsSettings)
    """Of `headrace app`; workers have no use for it."""
    tracing: TracingSettings = TracingSettings()
    """Traces of events."""
    webhooks: tuple[Webhook, ...] = ()
    """Endpoints that `headrace webhooks` posts to. A list of tables in the file."""
    log_format: Annotated[str, msgspec.Meta(pattern="^(console|json)$")] = "console"
    """``console`` for people, ``json`` for collectors."""
    log_level: Annotated[str, msgspec.Meta(pattern="^(debug|info|warning|error)$")] = "info"
    """Least severe level that is logged."""
    explain_schedule: bool = False
    """Log why batches hold what they do, what they cost and what waits, at the level ``info``."""

    def __post_init__(self) -> None:
        """Refuse webhooks of one name."""
        check_names(self.webhooks)

    @property
    def sources(self) -> Sources:
        """Return how events of one source are treated."""
        return Sources(transcripts=self.transcripts, cameras=self.cameras)

    @property
    def bounds(self) -> Bounds:
        """Return how much may be in flight."""
        return Bounds(self.max_in_flight_events, self.max_in_flight_mib * 1024 * 1024)

    def connection(self, client_id: str | None = None) -> Connection:
        """Return how to reach the broker, by default as a worker."""
        return Connection(
            self.bootstrap_servers, client_id or f"headrace-{self.group}", self.security
        )
