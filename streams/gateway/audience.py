"""Followers of one topic who all stand at the same place, found by what they want.

Those who want the same are decided about once, and of those who name what they want, such as an
instrument, only they are looked at whose it is.
"""

from collections.abc import Iterator
from typing import Any

from streams.gateway.follower import Follower
from streams.gateway.told import Told
from streams.subscription import AnyOf, Choosing


class _Group:
    """Followers who want the same."""

    __slots__ = ("choosing", "followers")

    def __init__(self, choosing: Choosing[Any]) -> None:
        self.choosing = choosing
        self.followers: set[Follower] = set()


class Audience:
    """Holds the followers."""

    def __init__(self) -> None:
        self._groups: dict[Choosing[Any], _Group] = {}
        self._others: list[_Group] = []
        self._indexes: dict[AnyOf, dict[Any, list[_Group]]] = {}

    def __iter__(self) -> Iterator[Follower]:
        for group in self._groups.values():
            yield from group.followers

    def add(self, follower: Follower) -> None:
        """Let a follower in."""
        group = self._groups.get(follower.choosing)
        if group is None:
            group = self._groups[follower.choosing] = _Group(follower.choosing)
            for groups in self._places(group):
                groups.append(group)
        group.followers.add(follower)

    def discard(self, follower: Follower) -> None:
        """Let a follower go, if it is here."""
        group = self._groups.get(follower.choosing)
        if group is None:
            return
        group.followers.discard(follower)
        if not group.followers:
            del self._groups[follower.choosing]
            for groups in self._places(group):
                groups.remove(group)

    def of(self, told: Told) -> Iterator[Follower]:
        """Yield those who want what a record holds, and to whose memory it is new."""
        for group in self._candidates(told):
            choosing = group.choosing
            if choosing.memory in told.new_to and choosing.holds(told.value, told.record):
                yield from group.followers

    def _places(self, group: _Group) -> list[list[_Group]]:
        """Return the lists that a group is found in."""
        key = group.choosing.key
        if key is None:
            return [self._others]
        one, asked = key
        index = self._indexes.setdefault(one, {})
        return [index.setdefault(value, []) for value in asked]

    def _candidates(self, told: Told) -> list[_Group]:
        found = list(self._others)
        for one, index in self._indexes.items():
            for value in one.of(told.value, told.record):
                found += index.get(value, ())
        # Who asks for two instruments is found twice by an event that names both.
        return list(dict.fromkeys(found))
