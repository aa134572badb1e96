"""The worker's settings: a TOML file, then the environment, then flags; later ones win.

An environment variable is ``HEADRACE_`` and the field's name in capitals; ``__`` descends into a
table (``HEADRACE_SCHEDULER__MAX_BATCH_TOKENS``). Lists are separated by commas. ``models`` may also
be given as one text: see :func:`parse_models`. An empty variable counts as not set. Secrets are no
settings: see :mod:`streams.security.credentials`.
"""

from streams.settings.loading import (
    CONFIG_VARIABLE,
    ENVIRONMENT_PREFIX,
    as_flags,
    load_settings,
    parse_models,
)
from streams.settings.tables import NO_MODEL, Budgets, Models, Settings, Tenant, Topic

__all__ = [
    "CONFIG_VARIABLE",
    "ENVIRONMENT_PREFIX",
    "NO_MODEL",
    "Budgets",
    "Models",
    "Settings",
    "Tenant",
    "Topic",
    "as_flags",
    "load_settings",
    "parse_models",
]
