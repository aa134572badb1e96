"""The committed position never passes an unfinished event, through rebalances too."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streams.offsets import Ledger, OffsetTracker

PARTITIONS = [TopicPartition("events.news", number) for number in range(3)]
partitions = st.sampled_from(PARTITIONS)
assignments = st.sets(partitions, min_size=1)


@dataclass
class Expected:
    """One partition from assignment to revocation, kept the slow and simple way."""

    tracker: OffsetTracker
    begun: list[int] = field(default_factory=list)
    finished: set[int] = field(default_factory=set)

    @property
    def unfinished(self) -> list[int]:
        """Offsets that have begun and not completed."""
        return [offset for offset in self.begun if offset not in self.finished]

    @property
    def position(self) -> int | None:
        """Behind the longest run of finished offsets; the first one if there is none."""
        if not self.begun:
            return None
        position = self.begun[0]
        for offset in self.begun:
            if offset not in self.finished:
                break
            position = offset + 1
        return position


class Rebalances(RuleBasedStateMachine):
    """A worker that owns some partitions, loses them and gets them again."""

    @initialize(owned=assignments)
    def start(self, owned: set[TopicPartition]) -> None:
        """Own something."""
        self.ledger = Ledger()
        self.broker = dict.fromkeys(PARTITIONS, 0)
        self.committed: dict[TopicPartition, int] = {}
        self.lost: list[tuple[OffsetTracker, int]] = []
        self.owned: dict[TopicPartition, Expected] = {}
        self._own(owned)

    @rule(data=st.data(), gaps=st.lists(st.integers(1, 4), min_size=1, max_size=6))
    def poll(self, data: st.DataObject, gaps: list[int]) -> None:
        """Take some records; the log has gaps."""
        partition = data.draw(st.sampled_from(sorted(self.owned)))
        expected = self.owned[partition]
        for gap in gaps:
            offset = self.broker[partition]
            self.broker[partition] = offset + gap
            assert self.ledger.begin(expected.tracker, offset)
            expected.begun.append(offset)

    @rule(data=st.data())
    def poll_again(self, data: st.DataObject) -> None:
        """A record that is delivered a second time does not run a second time."""
        partition = data.draw(st.sampled_from(sorted(self.owned)))
        expected = self.owned[partition]
        if expected.begun:
            assert not self.ledger.begin(
                expected.tracker, data.draw(st.sampled_from(expected.begun))
            )

    @rule(data=st.data(), most=st.integers(1, 6))
    def complete(self, data: st.DataObject, most: int) -> None:
        """Finish some events in flight, in any order."""
        for _ in range(most):
            waiting = [
                (expected, offset)
                for _, expected in sorted(self.owned.items())
                for offset in expected.unfinished
            ]
            if not waiting:
                return
            expected, offset = data.draw(st.sampled_from(waiting))
            self.ledger.complete(expected.tracker, offset)
            expected.finished.add(offset)
            self.positions_are_behind_all_that_is_unfinished()

    @rule()
    def complete_what_was_lost(self) -> None:
        """Finish the events of partitions that were taken away: nothing may come of it."""
        before = self.ledger.completions
        while self.lost:
            self.ledger.complete(*self.lost.pop())
        assert self.ledger.completions == before

    @rule()
    def commit(self) -> None:
        """Commit what may be committed."""
        self.committed.update(self.ledger.positions())

    @rule(owned=assignments)
    def rebalance(self, owned: set[TopicPartition]) -> None:
        """Lose all without a last commit, and own something from its committed position on."""
        self.lost += [
            (expected.tracker, offset)
            for expected in self.owned.values()
            for offset in expected.unfinished
        ]
        self._own(owned)

    @invariant()
    def positions_are_behind_all_that_is_unfinished(self) -> None:
        """Below a position everything has ended, and no position lags without a cause."""
        positions = self.ledger.positions()
        assert set(positions) <= set(self.owned)
        for partition, expected in self.owned.items():
            assert positions.get(partition) == expected.position
            for offset in expected.unfinished:
                assert positions[partition] <= offset
                assert self.committed.get(partition, 0) <= offset

    @invariant()
    def what_is_in_flight_is_counted(self) -> None:
        """Over the owned partitions alone."""
        in_flight = sum(len(expected.unfinished) for expected in self.owned.values())
        assert self.ledger.in_flight == in_flight
        for expected in self.owned.values():
            assert expected.tracker.in_flight == len(expected.unfinished)

    def _own(self, owned: Iterable[TopicPartition]) -> None:
        self.ledger.assign(owned)
        self.owned = {}
        for partition in owned:
            tracker = self.ledger.tracker(partition)
            assert tracker is not None
            self.owned[partition] = Expected(tracker)
            self.broker[partition] = self.committed.get(partition, 0)


Rebalances.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestRebalances = Rebalances.TestCase
