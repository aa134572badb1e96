"""What batches cost on this machine, kept from one start of a worker to the next."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog

from inference.engine import Engine
from inference.processor import processor_name

log = structlog.get_logger(__name__)

VERSION = 1
COMPUTES = ("backend", "device", "precision", "threads", "path")
"""What an engine tells of its way of computing; see ``inference.optimizer.CompiledModel``."""


class CostStates:
    """Files of a directory, one for each model on each kind of processor and way of computing.

    Several workers may share the directory: files are replaced as a whole, and the last writer's
    stays. What cannot be read or written is said and done without.

    Args:
        directory: Where they lie, ``~`` for the user's own; made if missing. ``None`` keeps
            nothing.
    """

    def __init__(self, directory: str | None) -> None:
        self._directory = Path(directory).expanduser() if directory else None

    def load(self, engine: Engine) -> dict[str, Any] | None:
        """Return what was kept of an engine's costs, if anything was."""
        about = _about(engine)
        path = self._path(about)
        if path is None:
            return None
        try:
            kept = orjson.loads(path.read_bytes())
            usable = kept["version"] == VERSION and kept["about"] == about
            costs: dict[str, Any] | None = kept["costs"] if usable else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("costs_unreadable", path=str(path), error=repr(error))
            return None
        return costs

    def save(self, engine: Engine, costs: dict[str, Any]) -> None:
        """Keep what is known of an engine's costs."""
        about = _about(engine)
        path = self._path(about)
        if path is None:
            return
        kept = {"version": VERSION, "about": about, "costs": costs}
        draft: Path | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # A name of its own: processes of other containers have the same numbers.
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}-")
            draft = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(orjson.dumps(kept, option=orjson.OPT_INDENT_2))
            draft.replace(path)
        except OSError as error:
            log.warning("costs_not_kept", path=str(path), error=repr(error))
            if draft is not None:
                with contextlib.suppress(OSError):
                    draft.unlink(missing_ok=True)

    def _path(self, about: Mapping[str, str]) -> Path | None:
        if self._directory is None:
            return None
        told = orjson.dumps(about, option=orjson.OPT_SORT_KEYS)
        name = "".join(each if each.isalnum() or each in "-_" else "-" for each in about["model"])
        return self._directory / f"{name[:60]}-{hashlib.sha256(told).hexdigest()[:12]}.json"


def _about(engine: Engine) -> dict[str, str]:
    """Return what costs depend on."""
    computes = {name: getattr(engine, name, "") for name in COMPUTES}
    return {
        "model": engine.model.name,
        "digest": engine.model.digest,
        "processor": processor_name(),
        "computes": " ".join(f"{name}={value}" for name, value in computes.items()),
    }
