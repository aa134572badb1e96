"""Settings that cannot work are refused where they are made."""

import math
from typing import Any

import pytest

from inference.settings import SchedulerSettings
from inference.work import PRIORITY_LEVELS
from schemas.errors import ConfigurationError


def test_the_defaults_are_valid() -> None:
    """Nothing has to be set, and each priority weighs more than the one below."""
    weights = SchedulerSettings().priority_weights
    assert list(weights) == sorted(set(weights))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_queue_tokens", 0),
        ("max_batch_tokens", 0),
        ("max_batch_events", -1),
        ("publish_reserve_ms", -0.1),
        ("prepare_lead_ms", math.nan),
        ("warmup_ms", math.inf),
        ("ageing_ms", 0.0),
        ("device_timeout_ms", 0.0),
        ("device_timeout_ms", math.inf),
        ("priority_weights", (1.0,) * (PRIORITY_LEVELS - 1)),
        ("priority_weights", (0.0,) * PRIORITY_LEVELS),
        ("priority_weights", (1.0,) * (PRIORITY_LEVELS - 1) + (math.inf,)),
        ("cost_quantile", 0.4),
        ("cost_quantile", 1.0),
        ("cost_quantile", math.nan),
    ],
)
def test_a_value_out_of_its_limits_is_refused(name: str, value: Any) -> None:
    """The message names the setting and says what to give instead."""
    with pytest.raises(ConfigurationError, match=rf"scheduler\.{name} = .*: give "):
        SchedulerSettings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_batch_events", 1),
        ("publish_reserve_ms", 0.0),
        ("prepare_lead_ms", 0.0),
        ("warmup_ms", 0.0),
        ("cost_quantile", 0.5),
        ("priority_weights", (1.0,) * PRIORITY_LEVELS),
    ],
)
def test_a_value_at_its_limit_is_accepted(name: str, value: Any) -> None:
    """Limits are inclusive where the remedy says so."""
    assert getattr(SchedulerSettings(**{name: value}), name) == value
