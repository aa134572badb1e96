"""When a request is sent again: what an answer means, and how long to wait.

What is wrong with the record itself stays wrong however often it is sent. What is wrong with the
endpoint (a token that it does not know, a path that is not there yet, a redirection to look at) can
be mended, so it is tried again: a mistake there does not turn the whole stream into dead letters.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from streams.webhooks.settings import Webhook

OF_THE_ENDPOINT = frozenset({401, 403, 404, 407, 408, 409, 410, 421, 423, 425, 429})
"""Statuses between 400 and 499 that another request for the same may not get."""
MOST_RETRY_AFTER_S = 3_600.0
"""An endpoint that asks for a longer silence is asked again after this."""


class Outcome(StrEnum):
    """What an answer means."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    """It does not take this record, and never will."""
    FAILED = "failed"
    """It may take it later."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request.

    Attributes:
        status: ``None`` where there was no answer.
        told: Status and beginning of the body, or why there was none.
        retry_after_s: Seconds that the endpoint asked for, bounded; ``None`` where it did not.
    """

    status: int | None
    told: str
    retry_after_s: float | None = None

    @property
    def outcome(self) -> Outcome:
        """What it means."""
        if self.status is None:
            return Outcome.FAILED
        if 200 <= self.status < 300:  # noqa: PLR2004 - as HTTP has them
            return Outcome.DELIVERED
        if 400 <= self.status < 500 and self.status not in OF_THE_ENDPOINT:  # noqa: PLR2004
            return Outcome.REFUSED
        return Outcome.FAILED

    @property
    def kind(self) -> str:
        """What it is counted as: ``2xx`` to ``5xx``, or ``none``."""
        return "none" if self.status is None else f"{self.status // 100}xx"


@dataclass(frozen=True, slots=True)
class Retrying:
    """How often, how long and how far apart.

    Attributes:
        backoff_s: Longest wait before the second request.
        most_s: Longest wait before any.
        attempts: Most requests for a record.
        age_s: Time from the first to the last of them.
    """

    backoff_s: float
    most_s: float
    attempts: int
    age_s: float

    @classmethod
    def of(cls, webhook: Webhook) -> "Retrying":
        """Take them from the settings."""
        return cls(
            webhook.backoff_ms / 1e3,
            webhook.max_backoff_ms / 1e3,
            webhook.max_attempts,
            webhook.max_age_ms / 1e3,
        )

    def longest_s(self, attempts: int) -> float:
        """Return the longest wait after so many requests, in seconds."""
        # Beyond 2**40 any wait is the longest, and a float would be inf some day.
        return min(self.most_s, self.backoff_s * 2.0 ** min(attempts - 1, 40))

    def wait_s(
        self, attempts: int, since_first_s: float, answer: Answer, draw: random.Random
    ) -> float | None:
        """Return how long to wait before the next request, ``None`` where there is none.

        The whole of the wait is random ("full jitter"): clients that failed together do not come
        back together.

        Args:
            attempts: Requests so far.
            since_first_s: Seconds since the first.
            answer: To the last.
            draw: Where chance comes from.
        """
        if attempts >= self.attempts:
            return None
        wait_s = max(draw.uniform(0.0, self.longest_s(attempts)), answer.retry_after_s or 0.0)
        return wait_s if since_first_s + wait_s <= self.age_s else None


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Read a ``Retry-After``: seconds or a date; what is neither counts as absent."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:12]), MOST_RETRY_AFTER_S))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), MOST_RETRY_AFTER_S)
