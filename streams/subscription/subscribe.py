"""What a subscriber calls."""

from collections.abc import Collection

from schemas.derived import Alert, AlertState, Direction, Signal
from schemas.errors import ConfigurationError
from schemas.events import Modality
from schemas.fused import Fused
from schemas.results import Classification, DeadLetter, Verdict
from schemas.session_state import SessionState
from streams.connection import Connection
from streams.security import Security
from streams.subscription.derived import WantedAlerts, WantedSignals
from streams.subscription.joined import Certainty, FusedState, WantedFused, WantedSessions
from streams.subscription.positions import Start
from streams.subscription.reading import Reading
from streams.subscription.seen import REMEMBERED, REMEMBERED_S, Seen
from streams.subscription.subscription import Subscription
from streams.subscription.wanted import Answers, WantedLetters, WantedResults

CLIENT_ID = "headrace-subscriber"


def subscribe(
    *topics: str,
    bootstrap_servers: str = "localhost:9092",
    security: Security | None = None,
    start: Start | None = None,
    group: str | None = None,
    labels: Collection[str] = (),
    verdicts: Collection[Verdict | str] = (),
    min_confidence: float = 0.0,
    tickers: Collection[str] = (),
    cameras: Collection[str] = (),
    sessions: Collection[str] = (),
    source_topics: Collection[str] = (),
    keys: Collection[bytes] = (),
    answers: Answers | str = Answers.FIRST,
    remember: int = REMEMBERED,
    remember_s: float = REMEMBERED_S,
    read_uncommitted: bool = False,
) -> Subscription[Classification]:
    """Follow the results of topics, each once.

    Args:
        topics: Such as ``results.news``.
        bootstrap_servers: ``host:port`` of the brokers, several separated by commas.
        security: TLS and login; as the worker's settings have it.
        start: ``end``, ``beginning``, a time, or a resume token; without one the end, and in a
            group that has committed nothing, the beginning.
        group: Consumer group: its members share the partitions, and go on where it has committed.
        labels: Only results of one of them.
        verdicts: Only results of one of them.
        min_confidence: Only results whose label has this probability, 0 to 1.
        tickers: Only results of events that name one of these instruments.
        cameras: Only results of events from one of these cameras.
        sessions: Only results of events of one of these sessions.
        source_topics: Only results of events from one of them.
        keys: Only results whose record has one of these keys.
        answers: ``first``, or ``best`` for later and better answers as well.
        remember: How many results are remembered, to know repetitions.
        remember_s: For how many seconds.
        read_uncommitted: See results before their transaction ends; some may never count.

    Raises:
        ConfigurationError: An argument is not one; connecting waits until iteration.
    """
    wanted = WantedResults(
        labels=labels,
        verdicts=verdicts,  # type: ignore[arg-type]
        min_confidence=min_confidence,
        tickers=tickers,
        cameras=cameras,
        sessions=sessions,
        source_topics=source_topics,
        keys=keys,
        answers=answers,  # type: ignore[arg-type]
    )
    return Subscription(
        _connection(bootstrap_servers, security),
        _named(topics),
        wanted,
        _reading(start, group, read_uncommitted=read_uncommitted),
        Seen(remember, remember_s),
    )


def subscribe_dead_letters(
    *topics: str,
    bootstrap_servers: str = "localhost:9092",
    security: Security | None = None,
    start: Start | None = None,
    group: str | None = None,
    errors: Collection[str] = (),
    source_topics: Collection[str] = (),
) -> Subscription[DeadLetter]:
    """Follow dead letters, each once; :meth:`Subscription.received` has the original bytes too.

    Args:
        topics: Such as ``events.news.dlq``.
        bootstrap_servers: As in :func:`subscribe`, and so are the next three.
        security: TLS and login.
        start: Where to begin.
        group: Consumer group.
        errors: Only letters of one of these kinds, such as ``poison``.
        source_topics: Only letters of events from one of them.

    Raises:
        ConfigurationError: An argument is not one.
    """
    return Subscription(
        _connection(bootstrap_servers, security),
        _named(topics),
        WantedLetters(errors=errors, source_topics=source_topics),
        _reading(start, group, read_uncommitted=False),
        Seen(),
    )


def subscribe_signals(
    *topics: str,
    bootstrap_servers: str = "localhost:9092",
    security: Security | None = None,
    start: Start | None = None,
    group: str | None = None,
    tickers: Collection[str] = (),
    directions: Collection[Direction | str] = (),
    min_strength: float = 0.0,
    min_confidence: float = 0.0,
) -> Subscription[Signal]:
    """Follow signals of instruments, each revision once; a corrected one comes as a later revision.

    Args:
        topics: Such as ``signals.news``.
        bootstrap_servers: As in :func:`subscribe`, and so are the next three.
        security: TLS and login.
        start: Where to begin.
        group: Consumer group.
        tickers: Only signals of one of these instruments.
        directions: Only signals that point one of these ways.
        min_strength: Only signals of at least this strength, 0 to 1.
        min_confidence: Only signals of at least this confidence, 0 to 1.

    Raises:
        ConfigurationError: An argument is not one.
    """
    wanted = WantedSignals(
        tickers=tickers,
        directions=directions,  # type: ignore[arg-type]
        min_strength=min_strength,
        min_confidence=min_confidence,
    )
    return Subscription(
        _connection(bootstrap_servers, security),
        _named(topics, such_as="signals.news"),
        wanted,
        _reading(start, group, read_uncommitted=False),
        Seen(),
    )


def subscribe_alerts(
    *topics: str,
    bootstrap_servers: str = "localhost:9092",
    security: Security | None = None,
    start: Start | None = None,
    group: str | None = None,
    states: Collection[AlertState | str] = (),
    rules: Collection[str] = (),
    scopes: Collection[str] = (),
    subjects: Collection[str] = (),
) -> Subscription[Alert]:
    """Follow alerts: each once when it is raised, and once, under the same id, when it is cleared.

    Args:
        topics: Such as ``alerts.camera``.
        bootstrap_servers: As in :func:`subscribe`, and so are the next three.
        security: TLS and login.
        start: Where to begin.
        group: Consumer group.
        states: Only alerts in one of these states.
        rules: Only alerts of one of these rules, such as ``defect_rate``.
        scopes: Only alerts about one of these kinds of things: ``camera``, ``line``, ``session``.
        subjects: Only alerts about one of these things, by id.

    Raises:
        ConfigurationError: An argument is not one.
    """
    wanted = WantedAlerts(
        states=states,  # type: ignore[arg-type]
        rules=rules,
        scopes=scopes,
        subjects=subjects,
    )
    return Subscription(
        _connection(bootstrap_servers, security),
        _named(topics, such_as="alerts.camera"),
        wanted,
        _reading(start, group, read_uncommitted=False),
        Seen(),
    )


def subscribe_sessions(
    *topics: str,
    bootstrap_servers: str = "localhost:9092",
    security: Security | None = None,
    start: Start | None = None,
    group: str | None = None,
    sessions: Collection[str] = (),
    intents: Collection[str] = (),
) -> Subscription[SessionState]:
    """Follow states of sessions; those that come again or are outdated are passed over.

    Args:
        topics: Such as ``sessions.transcripts``.
        bootstrap_servers: As in :func:`subscribe`, and so are the next three.
        security: TLS and login.
        start: Where to begin.
        group: Consumer group.
        sessions: Only states of one of these sessions.
        intents: Only states whose newest intent is one of these.

    Raises:
        ConfigurationError: An argument is not one.
    """
    return Subscription(
        _connection(bootstrap_servers, security),
        _named(topics, such_as="sessions.transcripts"),
        WantedSessions(sessions=sessions, intents=intents),
        _reading(start, group, read_uncommitted=False),
        Seen(),
    )


def subscribe_fused(
    *topics: str,
    bootstrap_servers: str = "localhost:9092",
    security: Security | None = None,
    start: Start | None = None,
    group: str | None = None,
    keys: Collection[str] = (),
    labels: Collection[str] = (),
    states: Collection[FusedState | str] = (),
    missing: Collection[Modality | str] = (),
    certainties: Collection[Certainty | str] = (),
) -> Subscription[Fused]:
    """Follow fused answers, each revision once.

    Args:
        topics: Such as ``fused.events``.
        bootstrap_servers: As in :func:`subscribe`, and so are the next three.
        security: TLS and login.
        start: Where to begin.
        group: Consumer group.
        keys: Only answers about one of these entities, tickers, sessions or cameras.
        labels: Only answers of which a part has one of these labels.
        states: Only ``complete``, ``incomplete`` or ``superseded`` ones.
        missing: Only answers that lack one of these modalities.
        certainties: Only ``clear`` or ``ambiguous`` ones.

    Raises:
        ConfigurationError: An argument is not one.
    """
    wanted = WantedFused(
        keys=keys,
        labels=labels,
        states=states,  # type: ignore[arg-type]
        missing=missing,  # type: ignore[arg-type]
        certainties=certainties,  # type: ignore[arg-type]
    )
    return Subscription(
        _connection(bootstrap_servers, security),
        _named(topics, such_as="fused.events"),
        wanted,
        _reading(start, group, read_uncommitted=False),
        Seen(),
    )


def _connection(bootstrap_servers: str, security: Security | None) -> Connection:
    return Connection(bootstrap_servers, CLIENT_ID, security or Security())


def _named(topics: tuple[str, ...], *, such_as: str = "results.news") -> tuple[str, ...]:
    if not topics:
        raise ConfigurationError(f"topics: none is given; name one, such as {such_as}")
    return tuple(dict.fromkeys(topics))


def _reading(start: Start | None, group: str | None, *, read_uncommitted: bool) -> Reading:
    isolation = "read_uncommitted" if read_uncommitted else "read_committed"
    default = "end" if group is None else "beginning"
    return Reading(
        start=default if start is None else start,
        group=group,
        options={"isolation_level": isolation},
    )
