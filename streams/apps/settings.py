"""Settings of the apps, a table for each."""

from typing import Annotated

import msgspec

from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams.apps.alerts import DEFECTS, NEGATIVE, NEGATIVES
from streams.apps.entities import Entity, JoinKey
from streams.apps.fusing import FusionSettings
from streams.apps.rates import RateSettings
from streams.apps.sentiment import POLARITIES, SentimentSettings
from streams.apps.talk import TalkSettings
from streams.delivery.mode import DeliveryMode

TopicName = Annotated[str, msgspec.Meta(pattern=r"^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$")]
Inputs = Annotated[tuple[TopicName, ...], msgspec.Meta(min_length=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Label = Annotated[str, msgspec.Meta(min_length=1)]
FUSION = FusionSettings()
Polarity = Annotated[float, msgspec.Meta(ge=-1, le=1)]


class SignalsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `headrace app signals`: rolling sentiment of instruments."""

    inputs: Inputs = ("results.news",)
    """Topics of results."""
    output: TopicName = "signals.news"
    """Topic of signals."""
    window_s: Seconds = 3_600.0
    """Seconds of event time that a signal looks back."""
    half_life_s: Seconds = 900.0
    """Age at which an event weighs half of a new one."""
    minimum_evidence: Count = 2
    """Fewest events in the window for a signal."""
    direction_at: Share = 0.2
    """Least strength of a signal that is not neutral."""
    history_s: Seconds = 86_400.0
    """Seconds of event time that are kept to tell what is usual for the instrument."""
    minimum_history: Count = 5
    """Fewest events before the window for a surprise."""
    smallest_deviation: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1
    """What a deviation counts as at least, so that a quiet history does not make everything a
    surprise."""
    most_evidence: Count = 500
    """Events kept for one instrument, the newest by event time."""
    polarities: Annotated[dict[Label, Polarity], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: dict(POLARITIES)
    )
    """What each label says, from -1 to 1; events without any of them are passed over. A table in
    the file."""

    def __post_init__(self) -> None:
        """Refuse a history that is shorter than the window."""
        if self.history_s < self.window_s:
            raise ValueError(
                f"history_s: value is {self.history_s:g}, less than window_s, which is "
                f"{self.window_s:g}; keep at least as much as a signal looks back"
            )

    @property
    def sentiment(self) -> SentimentSettings:
        """Return how signals are made."""
        names = SentimentSettings.__dataclass_fields__
        return SentimentSettings(**{name: getattr(self, name) for name in names})


class _Rated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of an app that watches rates, and has the fields of :class:`RateSettings`."""

    def __post_init__(self) -> None:
        """Refuse thresholds that do not fit each other."""
        _ = self.rates

    @property
    def rates(self) -> RateSettings:
        """Return when alerts are raised and cleared."""
        names = RateSettings.__dataclass_fields__
        return RateSettings(**{name: getattr(self, name) for name in names})


class AlertsSettings(_Rated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `headrace app alerts`: defect rates of cameras and lines."""

    inputs: Inputs = ("results.camera",)
    """Topics of results."""
    output: TopicName = "alerts.camera"
    """Topic of alerts."""
    labels: tuple[Label, ...] = ()
    """Labels that are a defect; unset for all but those that plainly say that there is none."""
    rule: Label = DEFECTS.rule
    """What alerts say was watched for."""
    window_s: Seconds = DEFECTS.window_s
    """Seconds of event time that are looked back on."""
    minimum_evidence: Count = DEFECTS.minimum_evidence
    """Fewest events in the window for raising or clearing."""
    raise_at: Share = DEFECTS.raise_at
    """Least share that raises an alert."""
    clear_at: Share = DEFECTS.clear_at
    """Largest share that clears it; below ``raise_at``."""
    most_evidence: Count = DEFECTS.most_evidence
    """Events kept of one subject, the newest by event time."""


class ConversationsSettings(_Rated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `headrace app conversations`: what becomes of sessions."""

    inputs: Inputs = ("results.transcripts",)
    """Topics of results."""
    output: TopicName = "alerts.transcripts"
    """Topic of alerts."""
    labels: Annotated[tuple[Label, ...], msgspec.Meta(min_length=1)] = tuple(sorted(NEGATIVE))
    """Labels that count."""
    rule: Label = NEGATIVES.rule
    """What alerts say was watched for."""
    window_s: Seconds = NEGATIVES.window_s
    """Seconds of event time that are looked back on."""
    minimum_evidence: Count = NEGATIVES.minimum_evidence
    """Fewest segments in the window for raising or clearing."""
    raise_at: Share = NEGATIVES.raise_at
    """Least share that raises an alert."""
    clear_at: Share = NEGATIVES.clear_at
    """Largest share that clears it; below ``raise_at``."""
    most_evidence: Count = NEGATIVES.most_evidence
    """Segments kept of one session, the newest by event time."""
    min_confidence: Share = 0.5
    """Least score, of all labels that count together, of a segment that counts."""
    speakers: tuple[Label, ...] = ()
    """Whose segments are evidence; unset for everybody's."""


class SessionsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `headrace app sessions`: the running state of sessions."""

    inputs: Inputs = ("results.transcripts",)
    """Topics of results."""
    output: TopicName = "sessions.transcripts"
    """Topic of states."""
    half_life_s: Seconds = 120.0
    """Age at which a segment weighs half of a new one in the mood."""
    most_segments: Annotated[int, msgspec.Meta(ge=1, le=2_000)] = 200
    """Segments of a session that are kept one by one, the newest; none may be overtaken by more."""
    keep_s: Seconds = 86_400.0
    """Seconds of silence, by the wall clock, after which none is kept any more."""
    min_confidence: Share = 0.5
    """Least score of a label that is told as an intent."""
    speakers: tuple[Label, ...] = ()
    """Whose intents are told; unset for everybody's."""
    polarities: Annotated[dict[Label, Polarity], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: dict(POLARITIES)
    )
    """What each label of sentiment says, from -1 to 1; all other labels are intents. A table in
    the file."""

    @property
    def talk(self) -> TalkSettings:
        """Return what is made of a session's segments."""
        return TalkSettings(
            half_life_s=self.half_life_s,
            most_segments=self.most_segments,
            keep_s=self.keep_s,
            min_confidence=self.min_confidence,
            speakers=frozenset(self.speakers),
            polarities=self.polarities,
        )


class EntitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that several streams tell of."""

    name: Label
    """The key of what is told of it."""
    tickers: tuple[Label, ...] = ()
    """Instruments."""
    cameras: tuple[Label, ...] = ()
    """Ids of cameras, or what stands before a `/` in them: a line or a site."""
    sessions: tuple[Label, ...] = ()
    """What the ids of its sessions begin with."""


class FusionAppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `headrace app fusion`: what results of several modalities say together."""

    inputs: tuple[TopicName, ...] = ()
    """Topics of results; unset for those of the modalities in `streams`."""
    output: TopicName = "fused.events"
    """Topic of answers."""
    streams: Annotated[tuple[Modality, ...], msgspec.Meta(min_length=2)] = FUSION.streams
    """Modalities that are expected of each answer; answers are named after the first."""
    required: tuple[Modality, ...] = FUSION.required
    """Those of them without which there is no answer."""
    key: JoinKey = JoinKey.ENTITY
    """What results have in common: `ticker`, `session_id`, `camera_id` or `entity`."""
    entities: tuple[EntitySettings, ...] = ()
    """What maps tickers, cameras and sessions to entities. Tables in the file."""
    window_s: Seconds = FUSION.window_s
    """Most seconds of event time between two parts of an answer."""
    wait_ms: Annotated[float, msgspec.Meta(ge=0, le=3_600_000)] = FUSION.wait_ms
    """Milliseconds that an answer waits for what is missing, from its first part's arrival."""
    lateness_s: Seconds = FUSION.lateness_s
    """Seconds of event time that a result may be behind the newest of its key."""
    most_parts: Annotated[int, msgspec.Meta(ge=2, le=2_000)] = FUSION.most_parts
    """Results of one key that are kept, the newest by event time."""
    repeat_s: Annotated[float, msgspec.Meta(ge=0, le=3_600)] = FUSION.repeat_s
    """Seconds of event time in which images of a key with the same label are one part; 0: none."""

    def __post_init__(self) -> None:
        """Refuse streams that come twice, and such as are required and not expected."""
        if len(set(self.streams)) < len(self.streams):
            raise ValueError(
                f"streams: value is {', '.join(self.streams)}; name each modality once"
            )
        if not set(self.required) <= set(self.streams):
            raise ValueError(
                f"required: value is {', '.join(self.required)}; name some of streams, "
                f"which is {', '.join(self.streams)}"
            )

    @property
    def fusion(self) -> FusionSettings:
        """Return what is joined, and how long it is waited for."""
        names = FusionSettings.__dataclass_fields__
        return FusionSettings(**{name: getattr(self, name) for name in names})

    @property
    def table(self) -> tuple[Entity, ...]:
        """Return the entities.

        Raises:
            ConfigurationError: Results are joined by entities, and there are none.
        """
        if self.key is JoinKey.ENTITY and not self.entities:
            raise ConfigurationError(
                "apps.fusion.entities: is empty, and key is entity; name what the streams have in "
                "common in [[apps.fusion.entities]], or join by another key"
            )
        return tuple(
            Entity(one.name, one.tickers, one.cameras, one.sessions) for one in self.entities
        )


class AppsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of `headrace app`; workers have no use for it."""

    prefix: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9._-]{1,100}$")] = "headrace"
    """Begins the names of each app's consumer group, inner topic and changelog; the app's name
    follows. Another prefix is another app, which starts from nothing."""
    delivery: DeliveryMode = DeliveryMode.AT_LEAST_ONCE
    """Whether what is derived may be published again after a crash (`at_least_once`), or is written
    in transactions (`exactly_once`)."""
    forget_s: Seconds = 604_800.0
    """Seconds without anything new, by the wall clock or the newest event's time, whichever is
    later, after which all that is known of a key is forgotten."""
    stall_ms: Annotated[float, msgspec.Meta(ge=5_000, le=3_600_000)] = 30_000.0
    """Records at the broker without progress for this long end the process."""
    signals: SignalsSettings = SignalsSettings()
    """Of the app of that name."""
    alerts: AlertsSettings = AlertsSettings()
    """Of the app of that name."""
    conversations: ConversationsSettings = ConversationsSettings()
    """Of the app of that name."""
    sessions: SessionsSettings = SessionsSettings()
    """Of the app of that name."""
    fusion: FusionAppSettings = FusionAppSettings()
    """Of the app of that name."""

    def __post_init__(self) -> None:
        """Refuse to forget what an app looks back on."""
        looked_back = {
            "signals.history_s": self.signals.history_s,
            "alerts.window_s": self.alerts.window_s,
            "conversations.window_s": self.conversations.window_s,
            "sessions.keep_s": self.sessions.keep_s,
            "fusion.lateness_s": self.fusion.lateness_s,
            "fusion.window_s": self.fusion.window_s,
        }
        name, longest_s = max(looked_back.items(), key=lambda each: each[1])
        if self.forget_s < longest_s:
            raise ValueError(
                f"forget_s: value is {self.forget_s:g}, less than {name}, which is "
                f"{longest_s:g}; keep keys at least as long as apps look back"
            )
