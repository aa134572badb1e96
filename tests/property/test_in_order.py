"""Per-key order of what leaves, whatever the order in which answers are found and acknowledged."""

from collections import defaultdict

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from schemas.kafka import Outbound
from streams.delivery.in_order import InKeyOrder
from streams.delivery.publisher import Parcel
from streams.offsets import OffsetTracker
from tests.fakes.consumer import record
from tests.fakes.publisher import KeepingPublisher

PARTITION = TopicPartition("events.news", 0)
KEYS = st.lists(st.sampled_from([b"a", b"b", b"c", None]), min_size=1, max_size=40)


class Rig:
    """Events of some keys before an outlet that keeps what it is given."""

    def __init__(self, keys: list[bytes | None], *, one_at_a_time: bool = True) -> None:
        self.keys, self.tracker, self.outlet = keys, OffsetTracker(), KeepingPublisher()
        self.ordered = InKeyOrder(self.outlet, one_at_a_time=one_at_a_time)
        self.acknowledged: list[int] = []
        self.ordered.expect(
            [record(PARTITION, offset, key=key) for offset, key in enumerate(keys)], self.tracker
        )

    def answer(self, offset: int) -> None:
        """Find the answer to an event."""
        self.ordered.publish(
            Parcel(
                "results.news",
                lambda: Outbound(key=self.keys[offset], value=b"", headers=[]),
                lambda: self.acknowledged.append(offset),
                self.tracker,
                offset,
                patient=offset % 3 == 0,
            )
        )

    @property
    def left(self) -> list[int]:
        """What has left, in order."""
        return [parcel.offset for parcel in self.outlet.parcels]  # type: ignore[misc]

    def left_by_key(self) -> dict[bytes | None, list[int]]:
        """The same for each key."""
        found: dict[bytes | None, list[int]] = defaultdict(list)
        for offset in self.left:
            found[self.keys[offset]].append(offset)
        return found


@given(keys=KEYS, data=st.data(), one_at_a_time=st.booleans())
def test_each_key_leaves_in_order_and_nothing_stays(
    keys: list[bytes | None], data: st.DataObject, *, one_at_a_time: bool
) -> None:
    """Answers and acknowledgements come in any order."""
    rig = Rig(keys, one_at_a_time=one_at_a_time)
    unanswered = data.draw(st.permutations(range(len(keys))))
    unacknowledged: list[int] = []
    while unanswered or unacknowledged:
        if unanswered and (not unacknowledged or data.draw(st.booleans())):
            before = len(rig.left)
            rig.answer(unanswered.pop())
        else:
            place = data.draw(st.integers(0, len(unacknowledged) - 1))
            before = len(rig.left)
            rig.outlet.parcels[unacknowledged.pop(place)].acknowledged()
        unacknowledged += range(before, len(rig.left))
    assert sorted(rig.left) == list(range(len(keys)))
    assert sorted(rig.acknowledged) == list(range(len(keys)))
    for key, offsets in rig.left_by_key().items():
        assert key is None or offsets == sorted(offsets)
    assert rig.ordered.waiting("results.news") == len(rig.left)


@given(keys=KEYS)
def test_keys_do_not_wait_for_each_other(keys: list[bytes | None]) -> None:
    """While the first event of one key has no answer, all of the others leave."""
    rig = Rig(keys, one_at_a_time=False)
    for offset in reversed(range(len(keys))):
        if keys[offset] != b"a" or b"a" in keys[:offset]:
            rig.answer(offset)
    held = [offset for offset, key in enumerate(keys) if key == b"a"]
    assert set(rig.left) == set(range(len(keys))) - set(held)


def test_the_next_of_a_key_waits_for_the_acknowledgement() -> None:
    """A sending that fails would be overtaken otherwise."""
    rig = Rig([b"a", b"a", b"b"])
    for offset in (0, 1, 2):
        rig.answer(offset)
    assert rig.left == [0, 2]
    rig.outlet.parcels[0].acknowledged()
    assert rig.left == [0, 2, 1]


def test_what_was_held_of_a_partition_that_is_gone_is_dropped() -> None:
    """Its next owner answers it."""
    rig = Rig([b"a", b"a"])
    rig.answer(1)
    assert rig.ordered.waiting("results.news") == 1
    rig.tracker.closed = True
    rig.ordered.expect([record(PARTITION, 0, key=b"a")], OffsetTracker())
    assert rig.ordered.waiting("results.news") == 0
    assert rig.left == []
