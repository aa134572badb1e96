"""Resume tokens are written and read; a token that does not fit is refused."""

from datetime import UTC, datetime

import pytest
from aiokafka import TopicPartition

from schemas import ConfigurationError
from streams.subscription import subscribe
from streams.subscription.positions import from_token, to_token
from streams.subscription.starting import READ_BACK, begin

TOPICS = ("results.news", "results.camera")
ONE, TWO = TopicPartition("results.news", 0), TopicPartition("results.news", 1)


class Offsets:
    """Implements what :func:`begin` asks of a consumer: offsets 100 to 5,000 are kept."""

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[object, int]:
        """Return the first offset of each."""
        return dict.fromkeys(partitions, 100)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[object, int]:
        """Return the next offset of each."""
        return dict.fromkeys(partitions, 5_000)

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[object, None]:
        """Return that nothing is as young."""
        return dict.fromkeys(times)


def test_a_token_reads_back_as_it_was_written() -> None:
    """Several topics and partitions in any order."""
    positions = {TopicPartition("results.camera", 3): 0, TWO: 98, ONE: 120}
    token = to_token(positions)
    assert token.split(";") == ["results.camera:3=0", "results.news:0=120,1=98"]
    assert from_token(token, TOPICS) == positions


@pytest.mark.parametrize(
    "token", ["", "end", "results.news", "results.news:0", "results.news:0=-1", "a:0=1;;b:0=1"]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    """The message shows one."""
    with pytest.raises(ConfigurationError, match="is no resume token; give one as it was"):
        from_token(token, TOPICS)


def test_a_token_of_another_topic_is_refused() -> None:
    """It would start somewhere that nobody meant."""
    with pytest.raises(ConfigurationError, match=r"the token is of events\.news, which is not"):
        from_token("events.news:0=1", TOPICS)


async def test_resuming_reads_back_and_starts_added_partitions_at_their_beginning() -> None:
    """What comes before the token is only remembered."""
    beginning = await begin(Offsets(), [ONE, TWO], "results.news:0=4000")
    assert beginning.wanted == {ONE: 4_000, TWO: 100}
    assert beginning.read == {ONE: 4_000 - READ_BACK, TWO: 100}
    assert beginning.missed == 0


async def test_what_is_no_longer_kept_is_counted() -> None:
    """Reading goes on at the first that is."""
    beginning = await begin(Offsets(), [ONE], "results.news:0=40")
    assert (beginning.wanted, beginning.missed) == ({ONE: 100}, 60)


@pytest.mark.parametrize("token", ["results.news:0=5001", "results.news:7=0"])
async def test_a_topic_made_anew_is_noticed(token: str) -> None:
    """Its offsets would mean other records."""
    with pytest.raises(ConfigurationError, match="made anew"):
        await begin(Offsets(), [ONE, TWO], token)


async def test_a_time_after_all_records_is_the_end() -> None:
    """Kafka knows no offset there; a time without a zone is refused."""
    beginning = await begin(Offsets(), [ONE], datetime(2026, 3, 2, tzinfo=UTC))
    assert beginning.wanted == {ONE: 5_000}
    with pytest.raises(ConfigurationError, match="has no time zone"):
        await begin(Offsets(), [ONE], datetime(2026, 3, 2))  # noqa: DTZ001


def test_a_subscription_wants_a_topic() -> None:
    """Without one there is nothing to wait for."""
    with pytest.raises(ConfigurationError, match="topics: none is given"):
        subscribe()


async def test_only_a_group_can_commit() -> None:
    """And it begins where it has committed, so a token does not go with it."""
    with pytest.raises(ConfigurationError, match="group: is not set"):
        await subscribe("results.news").commit()
    with pytest.raises(ConfigurationError, match="does not go with a group"):
        async with subscribe("results.news", group="desk", start="results.news:0=1"):
            pass
