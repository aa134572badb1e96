"""Imported by Python at its start: notes every connection and look-up that a process asks for."""

import os
import sys
from typing import Any

_NOTES = os.open(os.environ["NOTE_CONNECTIONS_IN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_EVENTS = {
    "socket.connect": lambda arguments: arguments[1],
    "socket.getaddrinfo": lambda arguments: (arguments[0], arguments[1]),
    "socket.gethostbyname": lambda arguments: (arguments[0], 0),
    "socket.sendto": lambda arguments: arguments[1],
}


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _EVENTS:
        target = _EVENTS[event](arguments)
        if isinstance(target, tuple):
            host, port = target[0], target[1]
            host = host.decode() if isinstance(host, bytes) else host
            os.write(_NOTES, f"{event} {host} {port}\n".encode())


sys.addaudithook(_note)
