"""Settings of webhooks: a list of tables, one for each endpoint."""

import ipaddress
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from schemas.errors import ConfigurationError

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Topics = Annotated[
    tuple[Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9._-]{1,249}$")], ...],
    msgspec.Meta(min_length=1),
]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=3_600_000)]
DAYS_7_MS = 604_800_000
LONGEST_URL = 2_000


class Format(StrEnum):
    """What is posted."""

    CLOUDEVENTS = "cloudevents"
    """The record as it is, as a CloudEvent in HTTP binary mode."""
    ALERTMANAGER = "alertmanager"
    """An alert for Alertmanager's own API, version 2."""
    ALERTMANAGER_WEBHOOK = "alertmanager-webhook"
    """An alert as Alertmanager posts it to its receivers, version 4."""

    @property
    def is_for_alerts(self) -> bool:
        """Whether only alerts can be written so."""
        return self is not Format.CLOUDEVENTS


class Webhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One endpoint and what it is sent."""

    name: Name
    """Of small letters, digits and hyphens; names the consumer group and the dead letter topic."""
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_URL)]
    """Where to; for ``alertmanager`` the address that ``/api/v2/alerts`` is appended to."""
    topics: Topics
    """What is read: topics of results, signals or alerts."""
    format: Format = Format.CLOUDEVENTS
    """``cloudevents``, ``alertmanager`` or ``alertmanager-webhook``."""
    filters: dict[str, str | float | tuple[str, ...]] = msgspec.field(default_factory=dict)
    """What of the topics: the arguments by which the Python client chooses among their kind."""
    start: Literal["end", "beginning"] = "end"
    """Where a webhook begins that is new: at what comes from now on, or with all that is kept."""
    secret_file: Text | None = None
    """Holds the secrets that requests are signed with, one a line; unset sends them unsigned."""
    token_file: Text | None = None
    """Holds a token that is sent as ``Authorization: Bearer``."""
    ca_file: Text | None = None
    """Certificates, in PEM, of those who may sign the endpoint's; unset for the system's."""
    allow_http: bool = False
    """Let requests travel in plain over a network; without it http is for this machine alone."""
    timeout_ms: Milliseconds = 15_000.0
    """How long the endpoint may take to answer one request."""
    max_in_flight: Count = 8
    """Requests under way at the same time, in one process."""
    preserve_ordering: bool = True
    """Whether records of the same key are delivered one after the other, in their order."""
    max_attempts: Count = 10
    """Requests for one record before it becomes a dead letter."""
    max_age_ms: Annotated[float, msgspec.Meta(gt=0, le=DAYS_7_MS)] = 3_600_000.0
    """Time from the first request for a record after which it is not tried again."""
    backoff_ms: Milliseconds = 500.0
    """Longest wait before a record's second request; each next one may be twice as long."""
    max_backoff_ms: Milliseconds = 60_000.0
    """Longest wait between requests for one record, and between probes of a dead endpoint."""
    alert_labels: dict[str, str] = msgspec.field(default_factory=dict)
    """Labels that alerts get besides, such as a severity; of the formats of Alertmanager."""
    alert_lasts_ms: Annotated[float, msgspec.Meta(ge=60_000, le=DAYS_7_MS)] = 86_400_000.0
    """When Alertmanager may take an alert for over that nobody has cleared."""
    generator_url: Text | None = None
    """Where whoever gets an alert can look further; of the formats of Alertmanager."""

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ConfigurationError: A field cannot be used; names webhook, field, value and remedy.
        """
        parts = self._parts()
        if parts.username is not None or parts.password is not None:
            # The value stays out of the message.
            raise self._wrong(
                "url", "holds a name or password; put a token into a file and name it in token_file"
            )
        if parts.fragment:
            raise self._wrong(
                "url", f"#{parts.fragment} is a fragment; leave it out, nobody gets it"
            )
        if parts.scheme == "http" and not (self.allow_http or is_loopback(parts.hostname or "")):
            raise self._wrong(
                "url",
                f"http to {parts.hostname} travels in plain; give an https URL, or set "
                "allow_http = true",
            )
        if self.max_backoff_ms < self.backoff_ms:
            raise self._wrong(
                "max_backoff_ms", f"{self.max_backoff_ms:g} is less than backoff_ms; raise it"
            )

    def _parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.url)
            _ = parts.port  # raises where it is no number
        except ValueError as error:
            raise self._wrong("url", f"cannot be read: {error}") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or not self.url.isascii():
            raise self._wrong(
                "url",
                f"{parts.scheme or 'a text'} without scheme or host cannot be posted to; give "
                "https://HOST/PATH, in ASCII",
            )
        return parts

    def _wrong(self, field: str, why: str) -> ConfigurationError:
        return ConfigurationError(f"webhooks.{self.name}.{field}: {why}")

    @property
    def group(self) -> str:
        """The consumer group; its members share the work."""
        return f"headrace-webhooks-{self.name}"

    @property
    def dead_letters(self) -> str:
        """Topic of what could not be delivered."""
        return f"{self.again}.dlq"

    @property
    def again(self) -> str:
        """Topic of what is to be delivered once more, from its dead letters."""
        return f"webhooks.{self.name}"

    @property
    def target(self) -> str:
        """What is posted to."""
        if self.format is not Format.ALERTMANAGER:
            return self.url
        parts = urlsplit(self.url)
        return parts._replace(path=parts.path.rstrip("/") + "/api/v2/alerts").geturl()


def check_names(webhooks: tuple[Webhook, ...]) -> None:
    """Refuse two webhooks of one name: they would share a group, and each get half.

    Raises:
        ConfigurationError: There are two.
    """
    names = [webhook.name for webhook in webhooks]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise ConfigurationError(f"webhooks: {double!r} is there twice; give each its own name")


def is_loopback(host: str) -> bool:
    """Say whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
