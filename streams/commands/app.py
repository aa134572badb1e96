"""``headrace app``."""

from pathlib import Path
from typing import Any

import click

from streams.app_host import run_app
from streams.apps.registry import APPS
from streams.commands.options import service_options
from streams.settings import load_settings


@click.command()
@click.argument("name", metavar="NAME", type=click.Choice(sorted(APPS)))
@click.option("--bootstrap-servers", metavar="H:P", help="Brokers, separated by commas.")
@service_options
def command(name: str, config: Path | None, **flags: Any) -> None:
    """Derive signals, alerts, session states or fused events from results, until stopped.

    NAME is one of the apps that ship; each is a consumer group of its own, whose members share the
    partitions. What they derive, and how they are set, is in docs/apps.md.

    SIGTERM and Ctrl-C settle what was taken in, commit it, and exit with 0.

    \b
    Examples:
      headrace app signals
      headrace app alerts --config headrace.toml --metrics-port 9465
    """  # noqa: D301 - click reads \b itself
    settings = load_settings(config=config, flags=flags)
    run_app(APPS[name](settings.apps), settings)
