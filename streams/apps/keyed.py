"""What an app is: pure functions from results to keyed state and what is derived from it.

The runtime reads results, spreads each over the keys that it concerns, and lets one member of the
group take the steps of a key one after the other. It may read a result again; a step that was
taken before must say so by returning ``None``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from schemas.records import Outbound
from schemas.results import Classification


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a key by one part.

    Attributes:
        state: What is kept of the key from now on; empty to forget it.
        derived: What is to be published, before the state counts as reached.
    """

    state: bytes
    derived: tuple[Outbound, ...] = ()


@dataclass(frozen=True, slots=True)
class Wake:
    """When a key is to be given a part although no result came.

    Attributes:
        at: Unix time in seconds; one that has passed means at once.
        part: What the key is given then. It may come later than that, and more than once.
    """

    at: float
    part: bytes


@dataclass(frozen=True, slots=True)
class KeyedApp:
    """An app of keyed state over topics of results.

    Attributes:
        name: Names the consumer group, the inner topic and the table, so it must stay.
        inputs: Topics of results.
        output: Topic of what is derived.
        spread: From a result to parts, each with the key that it concerns.
        step: From a key, its state (``None`` at first) and a part to what becomes of it; ``None``
            where the part changes nothing. It must be a function of these alone.
        wake: From a key and its state to when it wants a part of its own, ``None`` for never. It
            is asked after every step, when the earlier answer no longer counts, and of all keys
            after a restart or a rebalance. A step that has taken the part must say something
            else, or the key is woken again.
    """

    name: str
    inputs: tuple[str, ...]
    output: str
    spread: Callable[[Classification], Iterable[tuple[str, bytes]]]
    step: Callable[[str, bytes | None, bytes], Step | None]
    wake: Callable[[str, bytes], Wake | None] | None = None
