"""What goes wrong and when, drawn from a seed: the same seed gives the same schedule."""

import random
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """A fault; the words are those of reports and of ``--kinds``."""

    KILL = "kill-9"
    TERM = "sigterm"
    PAUSE = "pause"
    FREEZE = "freeze"
    BROKER_KILL = "broker-kill-9"
    BROKER_TERM = "broker-sigterm"
    CUT = "cut"
    REFUSE = "refuse"
    DELAY = "delay"
    THROTTLE = "throttle"
    HALF_CLOSE = "half-close"
    HICCUP = "hiccup"
    BLACK_HOLE = "black-hole"
    JOIN = "join-and-leave"
    UNDECODABLE = "undecodable"
    INVALID = "invalid"
    POISON = "poison"
    CLOCK = "clock-step"
    FULL_DISK = "full-disk"
    HOG = "cpu-hog"


MEANING = {
    Kind.KILL: "SIGKILL to a worker, which is started again",
    Kind.TERM: "SIGTERM to a worker, which is started again when it has drained",
    Kind.PAUSE: "SIGSTOP to a worker, for less than its session time-out",
    Kind.FREEZE: "SIGSTOP to a worker, for longer than its session time-out",
    Kind.BROKER_KILL: "SIGKILL to the broker, which is started again on its data",
    Kind.BROKER_TERM: "SIGTERM to the broker, likewise",
    Kind.CUT: "connections are reset",
    Kind.REFUSE: "connections are reset and new ones refused for a while",
    Kind.DELAY: "bytes arrive late",
    Kind.THROTTLE: "few bytes a second get through",
    Kind.HALF_CLOSE: "one direction of every connection ends",
    Kind.HICCUP: "bytes of one or both directions stay away, for less than the session time-out",
    Kind.BLACK_HOLE: "likewise, for longer than the session time-out",
    Kind.JOIN: "another worker joins the group and leaves it again",
    Kind.UNDECODABLE: "a record that is no event",
    Kind.INVALID: "an event that breaks the contract",
    Kind.POISON: "an event that the model raises on",
    Kind.CLOCK: "a worker's wall clock is wrong for a while",
    Kind.FULL_DISK: "a worker is restarted and can write no file",
    Kind.HOG: "other processes take the processor",
}
WEIGHTS = {
    Kind.KILL: 10,
    Kind.TERM: 7,
    Kind.PAUSE: 6,
    Kind.FREEZE: 6,
    Kind.BROKER_KILL: 4,
    Kind.BROKER_TERM: 3,
    Kind.CUT: 8,
    Kind.REFUSE: 5,
    Kind.DELAY: 5,
    Kind.THROTTLE: 4,
    Kind.HALF_CLOSE: 6,
    Kind.HICCUP: 7,
    Kind.BLACK_HOLE: 5,
    Kind.JOIN: 5,
    Kind.UNDECODABLE: 3,
    Kind.INVALID: 3,
    Kind.POISON: 5,
    Kind.CLOCK: 4,
    Kind.FULL_DISK: 2,
    Kind.HOG: 2,
}
ON_WORKERS = frozenset({Kind.KILL, Kind.TERM, Kind.PAUSE, Kind.FREEZE, Kind.CLOCK, Kind.FULL_DISK})
ON_BROKER = frozenset({Kind.BROKER_KILL, Kind.BROKER_TERM})
ON_INPUT = frozenset({Kind.UNDECODABLE, Kind.INVALID, Kind.POISON})
ON_LINE = frozenset(
    {
        Kind.CUT,
        Kind.REFUSE,
        Kind.DELAY,
        Kind.THROTTLE,
        Kind.HALF_CLOSE,
        Kind.HICCUP,
        Kind.BLACK_HOLE,
    }
)
GAP_S = (1.5, 4.5)
QUIET_SHARE = 0.5
"""Of the kills, those that are left alone until the group has had time to recover."""
BEYOND_SESSION_S = 3.0
"""What a recovery may take beyond the session time-out."""
WAYS = ("both", "up", "down")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        number: From 1, in order.
        at_s: Seconds from the start.
        victim: ``worker N``, ``broker``, ``line``, ``input``, ``group`` or ``machine``.
        parameters: Such as ``seconds`` for how long.
    """

    number: int
    at_s: float
    kind: Kind
    victim: str
    parameters: dict[str, float | str] = field(default_factory=dict)

    def __str__(self) -> str:
        told = "  ".join(f"{name} {value}" for name, value in self.parameters.items())
        return f"{self.number:4} {self.at_s:8.2f}  {self.kind:15} {self.victim:9} {told}".rstrip()


def schedule(
    seed: int,
    faults: int,
    *,
    workers: int,
    session_s: float,
    kinds: Collection[Kind] = tuple(Kind),
) -> list[Fault]:
    """Draw a schedule.

    Kinds come as cards of a deck that is shuffled anew when it is empty, so that their shares are
    those of :data:`WEIGHTS` in every stretch of some hundred faults.

    Args:
        seed: The same for the same schedule.
        faults: How many.
        workers: How many there are to choose a victim from.
        session_s: The workers' session time-out, which spells are measured by.
        kinds: What may go wrong.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    deck: list[Kind] = []
    at_s, found = 0.0, list[Fault]()
    for number in range(1, faults + 1):
        if not deck:
            deck = [kind for kind in Kind if kind in kinds for _ in range(WEIGHTS[kind])]
            chance.shuffle(deck)
        kind = deck.pop()
        at_s = round(at_s + chance.uniform(*GAP_S), 2)
        victim = _victim(kind, chance, workers)
        found.append(Fault(number, at_s, kind, victim, _parameters(kind, chance, session_s)))
        if kind is Kind.KILL and chance.random() < QUIET_SHARE:
            at_s += session_s + BEYOND_SESSION_S
    return found


def _victim(kind: Kind, chance: random.Random, workers: int) -> str:
    if kind in ON_WORKERS:
        return f"worker {chance.randrange(workers)}"
    for kinds, victim in ((ON_BROKER, "broker"), (ON_INPUT, "input"), (ON_LINE, "line")):
        if kind in kinds:
            return victim
    return "group" if kind is Kind.JOIN else "machine"


def _parameters(kind: Kind, chance: random.Random, session_s: float) -> dict[str, float | str]:
    shorter = round(chance.uniform(0.1, 0.6) * session_s, 2)
    longer = round(chance.uniform(1.3, 2.5) * session_s, 2)
    way = chance.choice(WAYS)
    drawn: dict[Kind, dict[str, float | str]] = {
        Kind.PAUSE: {"seconds": shorter},
        Kind.FREEZE: {"seconds": longer},
        Kind.BROKER_KILL: {"away": round(chance.uniform(0.0, 2.0), 2)},
        Kind.BROKER_TERM: {"away": round(chance.uniform(0.0, 2.0), 2)},
        Kind.CUT: {"share": chance.choice((0.5, 1.0))},
        Kind.REFUSE: {"seconds": round(chance.uniform(0.3, 3.0), 2)},
        Kind.DELAY: {"ms": round(chance.uniform(5, 400)), "seconds": longer},
        Kind.THROTTLE: {"bytes_per_s": round(chance.uniform(5_000, 60_000)), "seconds": longer},
        Kind.HALF_CLOSE: {"way": "up" if way == "both" else way},
        Kind.HICCUP: {"way": way, "seconds": shorter},
        Kind.BLACK_HOLE: {"way": way, "seconds": longer},
        Kind.JOIN: {"seconds": longer},
        Kind.CLOCK: {
            "by": round(chance.choice((-1, 1)) * chance.choice((0.5, 5.0, 120.0)), 1),
            "seconds": longer,
        },
        Kind.HOG: {"processes": chance.choice((2, 4)), "seconds": longer},
    }
    return drawn.get(kind, {})
