"""An app of your own: tell which camera has fallen silent, by the wall clock.

Its members share the cameras: python examples/faust_app.py (headrace's settings apply)
"""

import sys
from collections.abc import Iterator

import orjson

from schemas import Classification, HeadraceError, Outbound
from streams.app_host import run_app
from streams.apps.keyed import KeyedApp, Step, Wake
from streams.settings import load_settings

SILENT_S = 10.0


def spread(result: Classification) -> Iterator[tuple[str, bytes]]:
    """Say of each camera when its latest result was made."""
    if result.camera_id:
        yield result.camera_id, orjson.dumps({"seen": result.result_time.timestamp()})


def step(camera: str, state: bytes | None, part: bytes) -> Step | None:
    """Keep when a camera was seen last; publish that it is silent when woken for that."""
    known, new = orjson.loads(state or b'{"seen": 0}'), orjson.loads(part)
    if "silent_since" not in new:
        return Step(part) if new["seen"] > known["seen"] else None
    if known.get("told") or known["seen"] != new["silent_since"]:
        return None  # it was told before, or the camera was seen again meanwhile
    told = Outbound(key=camera.encode(), value=part, headers=[])
    return Step(orjson.dumps({**known, "told": True}), (told,))


def wake(_: str, state: bytes) -> Wake | None:
    """Wake a camera that was not seen for too long, once."""
    known = orjson.loads(state)
    part = orjson.dumps({"silent_since": known["seen"]})
    return None if known.get("told") else Wake(known["seen"] + SILENT_S, part)


APP = KeyedApp("silence", ("results.camera",), "alerts.silence", spread, step, wake)

if __name__ == "__main__":
    try:
        run_app(APP, load_settings())
    except HeadraceError as error:
        sys.exit(f"faust_app: {error}")
