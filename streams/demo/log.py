"""The log that the demo replays when it is given none: headlines, speech and pictures of steel.

Three of its headlines break their contract on purpose, to show dead letters. Its camera events say
what is to be drawn; the pictures are drawn when the log is read.
"""

import base64
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from streams.steel import draw_steel

NAME = "demo.jsonl"


def own_log(directory: Path) -> Path:
    """Write the log with its pictures and return its path."""
    path = directory / NAME
    lines = files("streams.demo").joinpath("events.jsonl").read_bytes().splitlines()
    path.write_bytes(b"\n".join(_drawn(line) for line in lines))
    return path


def _drawn(line: bytes) -> bytes:
    """Put the picture in the place of its description."""
    event: dict[str, Any] = orjson.loads(line)
    drawing = event.pop("drawing", None)
    if drawing is None:
        return line
    picture = draw_steel(drawing["flaw"], drawing["seed"])
    event["subject"] = f"{event['cameraid']}, a drawing of {drawing['flaw']}"
    event["data_base64"] = base64.b64encode(picture).decode()
    return orjson.dumps(event)
