"""The log that the demo replays when it is given none: news, speech and camera events.

Three of its headlines break their contract on purpose, to show dead letters.
"""

from importlib.resources import as_file, files
from pathlib import Path


def own_log() -> Path:
    """Return the log's path."""
    with as_file(files("streams.demo").joinpath("events.jsonl")) as path:
        return path
