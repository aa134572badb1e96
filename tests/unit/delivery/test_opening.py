"""How far apart transactions are, as the settings say."""

import pytest

from streams.delivery.opening import spacing
from streams.settings import Settings
from tests.fakes.routes import route_of


@pytest.mark.parametrize(
    ("settings", "partitions", "expected_s"),
    [
        (Settings(), 1, 0.003),
        (Settings(), 4, 0.012),
        (Settings(), 400, 0.15 * 0.150),
        (Settings(transaction_ms=40), 1, 0.040),
    ],
)
def test_more_partitions_make_no_more_transactions_until_the_budget_wants_them(
    settings: Settings, partitions: int, expected_s: float
) -> None:
    """Unless somebody knows better."""
    route = route_of(budget_ms=150.0)
    interval_s = spacing(settings, [route])
    assert interval_s(route.topic, partitions) == pytest.approx(expected_s)
