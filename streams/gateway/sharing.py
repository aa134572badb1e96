"""Followers who are sent the same bytes: they want the same, and it is written to them alike."""

from collections.abc import Callable, Iterator

from streams.gateway.follower import Follower
from streams.gateway.told import Told
from streams.gateway.wires import Wire


class Sharing:
    """Collects what they are told, and has it put together once for all of them.

    Args:
        wire: How it is written.
        stands: Says where they are.
        sent: Called with how many events were sent, each follower counted.
    """

    __slots__ = ("_followers", "_packing", "_sent", "_stands", "_waiting", "wire")

    def __init__(
        self, wire: Wire, stands: Callable[[], str], sent: Callable[[int], object]
    ) -> None:
        self.wire = wire
        self._stands = stands
        self._sent = sent
        self._packing = wire.packing()
        self._followers: set[Follower] = set()
        self._waiting: list[tuple[Told, str]] = []

    def __iter__(self) -> Iterator[Follower]:
        return iter(self._followers)

    def __len__(self) -> int:
        return len(self._followers)

    def add(self, follower: Follower) -> None:
        """Let a follower in, who was told all that the others were."""
        self.interrupt()
        follower.sharing = self
        self._followers.add(follower)

    def discard(self, follower: Follower) -> None:
        """Let a follower go."""
        self._followers.discard(follower)

    def tell(self, told: Told, token: str) -> bool:
        """Tell all of an event; say whether it is the first that waits to be sent."""
        self._waiting.append((told, token))
        return len(self._waiting) == 1

    def send(self) -> None:
        """Send what waits."""
        waiting, self._waiting = self._waiting, []
        if not waiting or not self._followers:
            return
        frames = [self.wire.frame(told, token) for told, token in waiting]
        data = self._packing.pack(frames, len(self._followers))
        together = 0
        for follower in self._followers:
            if follower.seen is None or not follower.knows_any(told for told, _ in waiting):
                follower.send(data, len(frames))
                together += 1
            else:
                for told, token in waiting:
                    follower.tell(told, token)
                self._packing.renew()  # it will not have what the others have
        self._sent(len(frames) * together)

    def interrupt(self) -> str:
        """Send what waits before one of them is sent something else; return where they are then."""
        self.send()
        self._packing.renew()
        return self._stands()
