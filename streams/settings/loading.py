"""Settings from a file, the environment and flags, checked each by itself and merged."""

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams.gateway.ingest.settings import INGEST_TOKENS_VARIABLE
from streams.gateway.settings import TOKENS_VARIABLE
from streams.security.credentials import VARIABLES, refuse_inline
from streams.settings.tables import Settings

ENVIRONMENT_PREFIX = "HEADRACE_"
CONFIG_VARIABLE = "HEADRACE_CONFIG"
"""Names the TOML file where no flag does."""
# Read elsewhere, so not misspelt settings: by the test suite, the commands, and as secrets.
_NOT_SETTINGS = frozenset(
    {
        "HEADRACE_REQUIRE_REAL_KAFKA",
        CONFIG_VARIABLE,
        TOKENS_VARIABLE,
        INGEST_TOKENS_VARIABLE,
        *VARIABLES.values(),
    }
)


def load_settings(
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Merge file, environment and flags into settings.

    Args:
        config: A TOML file, or none.
        environment: Defaults to the process's.
        flags: Nested like the settings; ``None`` values mean that the flag was not given.

    Raises:
        ConfigurationError: A source names an unknown setting or a value out of its limits.
    """
    merged: dict[str, Any] = {}
    sources = (
        (str(config), _read_file(config) if config else {}),
        ("environment", _read_environment(os.environ if environment is None else environment)),
        ("flags", _without_none(flags or {})),
    )
    for name, values in sources:
        refuse_inline(values, name)
        _check(values, name)
        if "every" in values.get("models", {}):
            merged.pop("models", None)  # for all modalities: also for those named farther away
        _merge(merged, values)
    settings = _check(merged, "settings")
    settings.security.check()
    settings.tracing.check()
    return settings


def parse_models(text: str) -> dict[str, str]:
    """Read ``news=PATH,camera=PATH``, or a single ``PATH`` for every modality that it can read.

    Raises:
        ConfigurationError: A modality, or what is for every one, is named twice.
    """
    parts = _split(text)
    names = tuple(f"{modality}=" for modality in Modality)
    if not any(part.startswith(names) for part in parts):
        parts = [text.strip()]  # a path may hold commas
    models: dict[str, str] = {}
    for part in parts:
        name, path = part.split("=", 1) if part.startswith(names) else ("every", part)
        if name in models or not path:
            raise ConfigurationError(
                f"models: {text!r} names {'nothing' if not path else 'two models'} for {name}; "
                "give MODALITY=PATH once for each, or one PATH"
            )
        models[name] = path
    return models


def _check(values: Mapping[str, Any], source: str) -> Settings:
    try:
        return msgspec.convert(values, Settings, strict=False)
    except (msgspec.ValidationError, ConfigurationError) as error:
        raise ConfigurationError(f"{source}: {error}") from error


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"--config {path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--config {path}: is not TOML: {error}") from error
    if isinstance(models := values.get("models"), str):
        values["models"] = parse_models(models)
    return values


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or name in _NOT_SETTINGS or not text.strip():
            continue
        path = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if path == ["models"]:
            values["models"] = parse_models(text) | values.get("models", {})
            continue
        table = values
        for key in path[:-1]:
            table = table.setdefault(key, {})
        table[path[-1]] = _split(text) if _is_list(path) else text
    return values


def _is_list(path: list[str]) -> bool:
    """Say whether the setting at ``path`` holds several values."""
    kind: Any = Settings
    for key in path:
        try:
            kind = get_type_hints(kind).get(key)
        except TypeError:
            return False
    return kind is not None and _origin(kind) in (tuple, list)


def _origin(kind: Any) -> Any:
    if get_origin(kind) in (Annotated, Union, UnionType):
        return _origin(get_args(kind)[0])
    return get_origin(kind) or kind


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            if inner := _without_none(value):
                kept[key] = inner
        elif value is not None:
            kept[key] = value
    return kept


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def as_flags(settings: Settings) -> dict[str, Any]:
    """Return settings as plain values that :func:`load_settings` reads back as flags."""
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    plain["scheduler"] = msgspec.to_builtins(dataclasses.asdict(settings.scheduler))
    return plain
