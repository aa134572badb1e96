"""What an answer means, and how long it is waited before the next request."""

import random
from datetime import UTC, datetime

import pytest

from streams.webhooks.retrying import Answer, Outcome, Retrying, retry_after_s

RETRYING = Retrying(backoff_s=0.5, most_s=60.0, attempts=10, age_s=600.0)
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_what_a_repair_could_mend_is_tried_again_and_what_it_could_not_is_not() -> None:
    """A missing token or path is the endpoint's fault, a record that it cannot read is not."""
    outcomes = {status: Answer(status, "").outcome for status in range(200, 600)}
    refused = {status for status, one in outcomes.items() if one is Outcome.REFUSED}
    delivered = {status for status, one in outcomes.items() if one is Outcome.DELIVERED}
    assert delivered == set(range(200, 300))
    assert {400, 405, 413, 415, 422} <= refused <= set(range(400, 500))
    assert not refused & {401, 403, 404, 408, 409, 410, 425, 429}
    assert Answer(None, "no answer").outcome is Outcome.FAILED


def test_waits_are_drawn_from_the_whole_of_a_doubling_range() -> None:
    """Half a second at first, a minute at most, and anything from nothing on."""
    draw = random.Random(1)  # noqa: S311 - of a test
    for attempts, longest_s in ((1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (9, 60.0)):
        waits = [RETRYING.wait_s(attempts, 0.0, Answer(500, ""), draw) for _ in range(2_000)]
        known = [wait for wait in waits if wait is not None]
        assert len(known) == 2_000
        assert max(known) <= longest_s
        assert max(known) > 0.99 * longest_s
        assert min(known) < 0.01 * longest_s
        assert sum(known) / len(known) == pytest.approx(longest_s / 2, rel=0.1)


def test_the_same_chance_gives_the_same_waits() -> None:
    """So a run can be told again."""
    one, other = random.Random(3), random.Random(3)  # noqa: S311 - of a test
    for attempts in range(1, 10):
        answer = Answer(503, "")
        assert RETRYING.wait_s(attempts, 0, answer, one) == RETRYING.wait_s(
            attempts, 0, answer, other
        )


def test_nothing_is_tried_more_often_or_longer_than_allowed() -> None:
    """The last request is the tenth, or the last that begins within ten minutes."""
    draw = random.Random(1)  # noqa: S311 - of a test
    assert RETRYING.wait_s(10, 0.0, Answer(500, ""), draw) is None
    assert RETRYING.wait_s(1, 600.0, Answer(500, "", retry_after_s=1.0), draw) is None
    assert RETRYING.wait_s(1, 590.0, Answer(500, "", retry_after_s=9.0), draw) == 9.0


def test_who_asks_for_rest_gets_it() -> None:
    """In seconds or by a date, an hour at most; nonsense counts as nothing."""
    assert retry_after_s("120", NOW) == 120.0
    assert retry_after_s("Mon, 02 Mar 2026 08:02:00 GMT", NOW) == 120.0
    assert retry_after_s("Mon, 02 Mar 2026 07:00:00 GMT", NOW) == 0.0
    assert retry_after_s("9" * 30, NOW) == 3_600.0
    assert retry_after_s("soon", NOW) is None
    assert retry_after_s("-5", NOW) is None
    assert retry_after_s(None, NOW) is None
    draw = random.Random(1)  # noqa: S311 - of a test
    assert RETRYING.wait_s(1, 0.0, Answer(429, "", retry_after_s=7.0), draw) == 7.0
