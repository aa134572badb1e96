"""The lane of a worker by itself, in a process of its own: images in through a socket, results out.

Started by cameras.py.
"""

import argparse
import asyncio
import struct
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from inference.clock import SystemClock
from inference.optimizer import open_model
from inference.settings import SchedulerSettings
from schemas.events import Modality
from schemas.limits import DEFAULT_LIMITS
from streams.delivery.publisher import Publisher
from streams.lane.lane import Lane
from streams.lane.sources import Cameras, Keep
from streams.offsets import Ledger
from streams.routes import Route, routes_of
from streams.settings import Budgets, Settings
from streams.worker.warm_up import warm_up_examples

EVENTS, RESULTS = "events.camera", "results.camera"
HEAD = struct.Struct(">IId")
"""Bytes that follow, the image's number, when it was due in milliseconds since the epoch."""
SIZE = struct.Struct(">I")


def headers_of(run: str, camera: int, number: int) -> list[tuple[str, bytes]]:
    """Write an image's CloudEvents headers."""
    fields = {
        "ce_specversion": "1.0",
        "ce_id": f"{run}.{number}",
        "ce_source": "bench",
        "ce_type": "headrace.camera.v1",
        "ce_cameraid": f"camera-{camera}",
        "content-type": "image/jpeg",
    }
    return [(name, value.encode()) for name, value in fields.items()]


class SocketProducer:
    """Implements what the publisher asks of a producer: results go back through the socket."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def send(self, topic: str, *, value: bytes | None, **_: Any) -> "asyncio.Future[None]":
        """Send a result; it counts as acknowledged at once."""
        if topic == RESULTS and value is not None:
            self._writer.write(SIZE.pack(len(value)) + value)
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


def _route(options: argparse.Namespace) -> Route:
    """Return the cameras' usual route, as the flags have it."""
    cameras = Cameras(keep=Keep(options.keep), unchanged_below=options.unchanged_below)
    settings = Settings(
        modalities=(Modality.CAMERA,),
        budgets=Budgets(camera=options.budget_ms),
        cameras=cameras,
    )
    return routes_of(settings)[0]


async def serve(options: argparse.Namespace) -> None:
    """Run the worker's lane on what comes through the socket.

    Args:
        options: The flags of cameras.py; ``serve`` is the socket's path.
    """
    reader, writer = await asyncio.open_unix_connection(options.serve)
    clock, ledger = SystemClock(), Ledger()
    publisher = Publisher(SocketProducer(writer))
    lane = Lane(
        _route(options),
        engine=open_model(options.model),
        clock=clock,
        scheduler_settings=SchedulerSettings(),
        limits=DEFAULT_LIMITS,
        ledger=ledger,
        publisher=publisher,
    )
    partition = TopicPartition(EVENTS, 0)
    ledger.assign([partition])
    publisher.start()
    await lane.scheduler.start(warmup=warm_up_examples(lane.engine, Modality.CAMERA))
    writer.write(SIZE.pack(0))  # ready
    tracker = ledger.tracker(partition)
    assert tracker  # noqa: S101 - assigned above
    waiting = b""
    while read := await reader.read(1 << 20):
        waiting += read
        records, waiting = _records(waiting)
        for one in records:
            ledger.begin(tracker, one.offset)
        lane.admit(records, tracker)
    await lane.scheduler.close()
    await publisher.close()


def _records(data: bytes) -> tuple[list[ConsumerRecord], bytes]:
    """Cut whole images out of what was read; return what is left."""
    records, at = [], 0
    while len(data) - at >= HEAD.size:
        size, number, due_ms = HEAD.unpack_from(data, at)
        end = at + HEAD.size + size
        if end > len(data):
            break
        value = data[at + HEAD.size : end]
        records.append(_record(number, due_ms, value))
        at = end
    return records, data[at:]


def _record(number: int, due_ms: float, body: bytes) -> ConsumerRecord:
    camera, value = int.from_bytes(body[:4], "big"), body[4:]
    return ConsumerRecord(
        topic=EVENTS,
        partition=0,
        offset=number,
        timestamp=int(due_ms),
        timestamp_type=0,
        key=None,
        value=value,
        checksum=None,
        serialized_key_size=-1,
        serialized_value_size=len(value),
        headers=tuple(headers_of("run", camera, number)),
    )
