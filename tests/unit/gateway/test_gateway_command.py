"""What the command makes of its settings."""

import pytest

from schemas import ConfigurationError, Modality
from streams.commands.gateway import modalities_of
from streams.settings import Topic


def test_topics_that_take_events_have_a_modality() -> None:
    """By their names, or by the topics that the workers serve."""
    own = Topic(name="wire.eu", modality=Modality.NEWS)
    found = modalities_of(["events.camera", "wire.eu"], [own])
    assert found == {"events.camera": Modality.CAMERA, "wire.eu": Modality.NEWS}


@pytest.mark.parametrize("name", ["wire.us", "results.news", "events.news.dlq"])
def test_a_topic_of_no_known_modality_takes_no_events(name: str) -> None:
    """Nothing could be checked; results and dead letters are no events."""
    with pytest.raises(ConfigurationError, match=f"it is not known what '{name}' carries"):
        modalities_of([name], [])
