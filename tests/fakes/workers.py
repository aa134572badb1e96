"""Worker processes without Kafka or a model, for the supervisor's tests."""

import os
import signal
import sys
from multiprocessing.connection import Connection as Pipe
from typing import Any


def _leave(*_: object) -> None:
    sys.exit(0)


def steady(settings: dict[str, Any], pipe: Pipe) -> None:
    """Report readiness and work until told to stop."""
    del settings
    signal.signal(signal.SIGTERM, _leave)
    pipe.send((True, None))
    signal.pause()


def dies_once(settings: dict[str, Any], pipe: Pipe) -> None:
    """Die at the first start, be steady at the second; the group names the file that remembers."""
    try:
        with open(settings["group"], "x", encoding="utf-8"):  # noqa: PTH123 - x is the point
            os._exit(9)
    except FileExistsError:
        steady(settings, pipe)


def stuck_once(settings: dict[str, Any], pipe: Pipe) -> None:
    """Be ready and then stuck at the first start, be steady at the second; as ``dies_once``."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        with open(settings["group"], "x", encoding="utf-8"):  # noqa: PTH123 - x is the point
            pipe.send((True, None))
            pipe.send((False, "7 events in flight, none ended in 30 s"))
        signal.pause()
    except FileExistsError:
        steady(settings, pipe)


def misconfigured(settings: dict[str, Any], pipe: Pipe) -> None:
    """End as a worker does whose settings cannot be used."""
    del settings, pipe
    sys.exit(2)
