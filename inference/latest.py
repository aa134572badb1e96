"""Newest wins: of the works about one subject that wait, only the last to come is run.

A work that supersedes another takes over its turn. It must meet its own deadline, but waits where
the first of its subject began to wait; queued behind all others instead, a subject whose works
come faster than the device is free would be replaced for ever and never run. A turn lasts until a
work of the subject has run: one that was shed leaves it to the next.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

from inference.queue import DeadlineQueue, Entry, Turn
from inference.work import Subject, Work

MOST_SUBJECTS = 16_384
"""Subjects of which a turn, or a last word, is remembered; the longest unused is forgotten."""
FINAL_S = 60.0
"""How long a last word is remembered: what comes before it in order comes seconds after it at
most, and a source that starts numbering anew must be heard again."""


class Superseded(NamedTuple):
    """A work that will not run.

    Attributes:
        reason: For people; names what superseded it.
    """

    work: Work
    reason: str


class _Waiting(NamedTuple):
    work: Work
    turn: Turn


class _Final(NamedTuple):
    name: str
    at: float


Value = TypeVar("Value")


class _Recent(Generic[Value]):
    """A mapping that forgets what was set the longest ago."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def set(self, key: Hashable, value: Value) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def get(self, key: Hashable) -> Value | None:
        return self._values.get(key)

    def pop(self, key: Hashable) -> Value | None:
        return self._values.pop(key, None)

    def clear(self) -> None:
        self._values.clear()


class Latest:
    """Puts works into a queue, and takes out those that they supersede.

    Works without a subject are queued and never looked at again. All methods take constant time
    but for the queue's bisection.

    Args:
        queue: Changed by :meth:`admit`; whoever else takes works out must say so.
        most_subjects: How many subjects that have nothing waiting are remembered.
    """

    def __init__(self, queue: DeadlineQueue, *, most_subjects: int = MOST_SUBJECTS) -> None:
        self._queue = queue
        self._waiting: dict[Hashable, _Waiting] = {}
        self._turns: _Recent[Turn] = _Recent(most_subjects)
        self._finals: _Recent[_Final] = _Recent(most_subjects)

    def admit(self, work: Work, now: float) -> Superseded | None:
        """Queue a work at ``now`` monotonic seconds; return what will not run for it.

        That is the work that waited so far, or the new one, if its subject's last word has come.
        """
        subject = work.subject
        if subject is None:
            self._queue.push(work, now)
            return None
        if not subject.is_final:
            final = self._finals.get(subject.key)
            if final is not None and now - final.at <= FINAL_S:
                return Superseded(work, f"superseded when it came by {final.name}")
        return self._replace(work, now)

    def settle(self, subject: Subject, now: float) -> Superseded | None:
        """Take out the work that waits for a subject which something newer has answered already.

        Args:
            subject: Of what was answered; a last word is remembered as such.
            now: Monotonic seconds.
        """
        self._turns.pop(subject.key)
        if subject.is_final:
            self._finals.set(subject.key, _Final(subject.name, now))
        return self._take_out(subject)

    def left(self, entries: Iterable[Entry], *, ran: bool) -> None:
        """Take note of works that have left the queue.

        Args:
            entries: What has left.
            ran: It went to the device; what was shed leaves its turn to the next of its subject.
        """
        for entry in entries:
            subject = entry.work.subject
            if subject is None or subject.is_final:
                continue
            self._forget(entry.work)
            if not ran:
                self._turns.set(subject.key, entry.turn)

    def withdrew(self, works: Iterable[Work]) -> None:
        """Take note of works that were taken back, and forget all last words.

        They were taken back because others answer them, and what came before.
        """
        for work in works:
            self._forget(work)
        self._finals.clear()

    def _replace(self, work: Work, now: float) -> Superseded | None:
        subject = work.subject
        assert subject is not None  # noqa: S101 - for the type checker
        turn = self._turns.pop(subject.key)
        if subject.key in self._waiting:
            turn = self._waiting[subject.key].turn
        superseded = self._take_out(subject)
        turn = self._queue.push(work, now, turn=turn).turn
        if subject.is_final:
            self._finals.set(subject.key, _Final(subject.name, now))
        else:
            self._waiting[subject.key] = _Waiting(work, turn)
        return superseded

    def _take_out(self, subject: Subject) -> Superseded | None:
        waiting = self._waiting.pop(subject.key, None)
        if waiting is None:
            return None
        self._queue.discard(*waiting)
        return Superseded(waiting.work, f"superseded while it waited by {subject.name}")

    def _forget(self, work: Work) -> None:
        if work.subject is None:
            return
        waiting = self._waiting.get(work.subject.key)
        if waiting is not None and waiting.work is work:
            del self._waiting[work.subject.key]
