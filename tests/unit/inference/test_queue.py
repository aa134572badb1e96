"""Works lie by slack within lines, and lines share the device by weight."""

import random

import pytest

from inference.queue import DeadlineQueue, Entry
from inference.work import PRIORITY_LEVELS, OverloadPolicy, Work
from tests.fakes.works import NOW, work

WEIGHTS = tuple(float(2**level) for level in range(PRIORITY_LEVELS))


def queue_of(*works: Work, max_tokens: int = 100) -> DeadlineQueue:
    """Return a queue that the works arrived in one after the other."""
    queue = DeadlineQueue(max_tokens, WEIGHTS)
    for one in works:
        queue.push(one, one.arrival)
    return queue


def entries(queue: DeadlineQueue) -> list[Entry]:
    """Return all entries, line by line."""
    return [entry for line in queue.lines for entry in line.entries]


def handles(queue: DeadlineQueue) -> list[object]:
    """Return the works' handles in the order of the queue."""
    return [entry.work.handle for entry in entries(queue)]


def test_the_work_due_first_comes_first() -> None:
    """Order of arrival does not matter where deadlines differ."""
    queue = queue_of(*(work(budget=budget, handle=budget) for budget in (0.3, 0.1, 0.2)))
    assert handles(queue) == [0.1, 0.2, 0.3]
    assert queue.earliest_deadline == NOW + 0.1


def test_works_due_at_once_keep_their_order_of_arrival() -> None:
    """Ties are first come, first served, and never compare the works themselves."""
    queue = queue_of(*(work(handle=number) for number in range(5)))
    assert handles(queue) == list(range(5))


def test_a_long_work_has_less_slack_than_a_short_one_due_a_little_earlier() -> None:
    """Once a token has a price, the order is by slack and no longer by deadline."""
    queue = queue_of(work(10, budget=0.10, handle="short"), work(50, budget=0.12, handle="long"))
    assert handles(queue) == ["short", "long"]
    queue.reprice(0.001)
    assert handles(queue) == ["long", "short"]


def test_a_small_change_of_price_is_not_worth_sorting_for() -> None:
    """Within the tolerance the keys stay; beyond it all are computed anew."""
    queue = queue_of(work(10))
    queue.reprice(0.001)
    key = entries(queue)[0].key
    queue.reprice(0.0011)
    assert entries(queue)[0].key == key
    queue.reprice(0.002)
    assert entries(queue)[0].key == pytest.approx(NOW + 0.1 - 0.02)


def test_room_is_counted_in_tokens() -> None:
    """Pushing beyond the mark works; room never falls below nothing."""
    queue = queue_of(work(60))
    assert queue.room_tokens == 40
    queue.push(work(70), NOW)
    assert (queue.room_tokens, queue.tokens, queue.mean_tokens, len(queue)) == (0, 130, 65.0, 2)


def test_an_empty_queue_has_no_lines_and_no_deadline() -> None:
    """Its mean is nothing rather than an error."""
    queue = queue_of()
    assert (queue.lines, queue.earliest_deadline, queue.mean_tokens) == ([], None, 0.0)
    assert not queue


def test_withdrawing_takes_exactly_what_is_asked_for() -> None:
    """What remains keeps its order, and the tokens are given back."""
    queue = queue_of(*(work(10, handle=number) for number in range(6)))
    gone = queue.withdraw(lambda one: one.handle % 2 == 0)
    assert [one.handle for one in gone] == [0, 2, 4]
    assert handles(queue) == [1, 3, 5]
    assert (queue.tokens, len(queue)) == (30, 3)


def test_any_set_of_entries_can_be_removed() -> None:
    """Runs, single entries, several lines, in any order: the rest is untouched."""
    dice = random.Random(5)  # noqa: S311 - no secret
    for _ in range(50):
        queue = queue_of(
            *(
                work(
                    dice.randint(1, 9), budget=dice.choice((0.1, 0.2)), priority=dice.choice((1, 7))
                )
                for _ in range(12)
            )
        )
        before = entries(queue)
        gone = dice.sample(before, dice.randint(0, len(before)))
        queue.remove(gone)
        kept = [entry for entry in before if entry not in gone]
        assert entries(queue) == kept
        assert queue.tokens == sum(entry.work.tokens for entry in kept)
        assert len(queue) == len(kept)


def test_policies_and_priorities_have_lines_of_their_own() -> None:
    """A line holds works that may be treated alike."""
    queue = queue_of(
        work(priority=1),
        work(priority=7),
        work(priority=7, on_overload=OverloadPolicy.SHED),
        work(priority=7, on_overload=OverloadPolicy.SHED),
    )
    lines = [(line.priority, line.policy, len(line.entries)) for line in queue.lines]
    assert lines == [
        (7, OverloadPolicy.DEGRADE, 1),
        (7, OverloadPolicy.SHED, 2),
        (1, OverloadPolicy.DEGRADE, 1),
    ]


def test_being_served_is_charged_by_weight() -> None:
    """The same tokens cost a priority of twice the weight half as much."""
    queue = queue_of(work(40, priority=3), work(40, priority=4), work(priority=3), work(priority=4))
    high, low = queue.lines
    queue.take([low.entries[0], high.entries[0]], NOW + 1)
    assert low.virtual == 2 * high.virtual > 0
    assert low.served_at == high.served_at == NOW + 1


def test_being_shed_is_not_charged() -> None:
    """Works that did not run used nothing of the device."""
    queue = queue_of(work(), work())
    (line,) = queue.lines
    queue.remove([line.entries[0]])
    assert (line.virtual, line.served_at) == (0.0, NOW)


def test_a_line_that_slept_has_saved_up_no_claim() -> None:
    """It begins level with the line that is furthest behind, however long it was away."""
    queue = queue_of(*(work(32, priority=5) for _ in range(4)))
    (busy,) = queue.lines
    for _ in range(3):
        queue.take(busy.entries[:1], NOW)
    queue.push(work(priority=4), NOW + 9)
    assert [line.virtual for line in queue.lines] == [3.0, 3.0]
    assert queue.lines[1].served_at == NOW + 9


def test_a_line_served_out_of_turn_puts_no_other_behind() -> None:
    """An urgent line that sleeps and wakes is not charged for what an old one got for its age.

    Level with the line that is furthest ahead, it would wait for all in between to catch up.
    """
    queue = queue_of(work(64, priority=1), work(priority=1), work(16, priority=4), work(priority=4))
    middle, aged = queue.lines
    queue.take(aged.entries[:1], NOW)
    queue.take(middle.entries[:1], NOW)
    assert (aged.virtual, middle.virtual) == (32.0, 1.0)
    queue.push(work(priority=7), NOW)
    urgent = queue.lines[0]
    assert urgent.virtual == middle.virtual


def test_an_empty_queue_forgives_all_debts() -> None:
    """What a line got while nobody else wanted the device is not held against it later."""
    queue = queue_of(work(64, priority=1))
    queue.take(entries(queue), NOW)
    queue.push(work(priority=1), NOW)
    queue.push(work(priority=7), NOW)
    assert [line.virtual for line in queue.lines] == [0.0, 0.0]


def test_it_is_remembered_when_late_works_were_last_taken() -> None:
    """Only a batch that contains late works counts."""
    queue = queue_of(work(), work())
    queue.take(entries(queue)[:1], NOW + 1)
    assert queue.late_served_at < NOW
    queue.take(entries(queue), NOW + 2, late=True)
    assert queue.late_served_at == NOW + 2
