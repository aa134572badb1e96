"""The log that the demo sends, once or again and again."""

from inference.clock import Clock
from streams.demo.sending import MixedMapper, ModalitySenders
from streams.demo.settings import DemoSettings
from streams.replay.mapping import Mapper
from streams.replay.pacing import Pacer, make_pace
from streams.replay.run import Replay
from streams.replay.source import LineSource


class SentLog:
    """Reads a log and sends it at the pace that the settings ask for.

    Args:
        path: Of the JSONL file.
        settings: What is sent of it, and how fast.
        clock: Times the pace.

    Attributes:
        name: What people call it.
        stopped: Whether it was asked to send nothing more.
    """

    def __init__(self, path: str, settings: DemoSettings, clock: Clock) -> None:
        self._path = path
        self._settings = settings
        self._clock = clock
        self._source = LineSource(path)
        self._replay: Replay | None = None
        self.name = self._source.name
        self.stopped = False

    @property
    def share_read(self) -> float | None:
        """How much of it was read, from 0 to 1, where that can be told."""
        return self._source.share_read

    def stop(self) -> None:
        """Send nothing more."""
        self.stopped = True
        if self._replay:
            self._replay.stop()

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    async def send(self, senders: ModalitySenders) -> int:
        """Send it from its beginning to its end, or until stopped.

        Returns:
            How many lines were passed over.
        """
        settings = self._settings
        usual = settings.modalities[0]
        if self._replay is not None:
            self._source.close()
            self._source = LineSource(self._path)
        mappers = {
            each: Mapper(
                each,
                fields=settings.fields if each is usual else None,
                name=self._source.stem,
            )
            for each in settings.log_modalities
        }
        self._replay = Replay(
            mapper=MixedMapper(mappers, usual),
            sender=senders,
            pacer=Pacer(make_pace("max" if settings.is_max else settings.speed), self._clock),
            clock=self._clock,
        )
        if self.stopped:
            self._replay.stop()
        progress = await self._replay.run(self._source.lines())
        return progress.skipped.count
