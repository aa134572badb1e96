"""Runs an app as the whole of this process: what `headrace app` does, and an app of your own."""

import asyncio
import importlib.util
import logging
import os
import sys
from typing import NoReturn

from schemas.errors import ConfigurationError
from streams.apps.keyed import KeyedApp
from streams.logs import configure
from streams.settings import Settings

SWITCH_INTERVAL_S = 0.0005
"""How long a step's Python may hold the interpreter while Faust's other thread waits to fetch."""
_FAUST_LOGGERS = ("faust", "mode", "streams.apps.faust_clients")
"""They tell every step of a rebalance at INFO, and that it is one at WARNING."""


def run_app(app: KeyedApp, settings: Settings) -> NoReturn:
    """Run an app until SIGTERM or Ctrl-C, then end the process.

    The exit code is 0 after a stop, 1 after a failure that a restart may mend, 2 after one that it
    cannot. Let something start the process again after the first kind.

    Args:
        app: What is run.
        settings: Brokers, login, topics, health and logs, as of a worker.

    Raises:
        ConfigurationError: Faust is not installed, or the settings of ``security`` are wrong.
    """
    # Faust that is imported already cannot be looked for: it has replaced its own module.
    if "faust" not in sys.modules and importlib.util.find_spec("faust") is None:
        raise ConfigurationError(
            f"app {app.name}: needs Faust, which is not installed; install it with "
            "`pip install 'headrace[apps]'`"
        )
    configure(settings.log_format, settings.log_level)
    settings.connection().client_options()  # files that cannot be read are told of at once
    for name in _FAUST_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.ERROR, logging.root.level))
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    from streams.app_host.service import serve_app  # noqa: PLC0415 - Faust takes a while to import

    status = asyncio.run(serve_app(app, settings))
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread of Faust's that hangs must not keep the process from being started again.
    os._exit(status)
