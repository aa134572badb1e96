"""Followers of one topic who all stand at the same place, found by what they want.

Those who want the same are decided about once, and of those who name what they want, such as an
instrument, only they are looked at whose it is.
"""

from collections.abc import Callable, Iterator
from typing import Any

from streams.gateway.follower import Follower
from streams.gateway.sharing import Sharing
from streams.gateway.told import Told
from streams.gateway.wires import Wire
from streams.subscription import AnyOf, Choosing


class _Group:
    """Followers who want the same, by how it is written to them."""

    __slots__ = ("choosing", "sharings")

    def __init__(self, choosing: Choosing[Any]) -> None:
        self.choosing = choosing
        self.sharings: dict[Wire, Sharing] = {}


class Audience:
    """Holds the followers.

    Args:
        stands: Says where they are.
        sent: Called with how many events were sent, each follower counted.
    """

    def __init__(self, stands: Callable[[], str], sent: Callable[[int], object]) -> None:
        self._stands = stands
        self._sent = sent
        self._groups: dict[Choosing[Any], _Group] = {}
        self._others: list[_Group] = []
        self._indexes: dict[AnyOf, dict[Any, list[_Group]]] = {}
        self._to_send: list[Sharing] = []

    def __iter__(self) -> Iterator[Follower]:
        for group in self._groups.values():
            for sharing in group.sharings.values():
                yield from sharing

    def add(self, follower: Follower) -> None:
        """Let a follower in, who was told all that the others were."""
        group = self._groups.get(follower.choosing)
        if group is None:
            group = self._groups[follower.choosing] = _Group(follower.choosing)
            for groups in self._places(group):
                groups.append(group)
        sharing = group.sharings.get(follower.wire)
        if sharing is None:
            sharing = Sharing(follower.wire, self._stands, self._sent)
            group.sharings[follower.wire] = sharing
        sharing.add(follower)

    def discard(self, follower: Follower) -> None:
        """Let a follower go, if it is here."""
        group = self._groups.get(follower.choosing)
        sharing = group and group.sharings.get(follower.wire)
        if not group or not sharing:
            return
        sharing.discard(follower)
        if not sharing:
            del group.sharings[follower.wire]
        if not group.sharings:
            del self._groups[follower.choosing]
            for groups in self._places(group):
                groups.remove(group)

    def tell(self, told: Told) -> bool:
        """Tell those who want what a record holds, and to whose memory it is new.

        Returns:
            Whether something waits to be sent.
        """
        token: str | None = None
        for group in self._candidates(told):
            choosing = group.choosing
            if choosing.memory in told.new_to and choosing.holds(told.value, told.record):
                token = token or self._stands()
                for sharing in group.sharings.values():
                    if sharing.tell(told, token):
                        self._to_send.append(sharing)
        return bool(self._to_send)

    def send(self) -> None:
        """Send all that waits."""
        to_send, self._to_send = self._to_send, []
        for sharing in to_send:
            sharing.send()

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
