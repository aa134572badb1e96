"""Options that several commands share."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from streams.settings import CONFIG_VARIABLE, load_settings

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar=CONFIG_VARIABLE,
    show_envvar=True,
    help="TOML file with settings.",
)

_SERVICE_OPTIONS = (
    click.option("--partitions", type=int, help="Partitions of topics that are created."),
    click.option("--create-topics/--no-create-topics", default=None, help="Create missing topics."),
    click.option(
        "--metrics-port", type=int, help="Port of /metrics, /healthz, /readyz; 0: a free one"
    ),
    click.option("--metrics-host", help="Address of the same; loopback unless told otherwise."),
    config_option,
    click.option("--log-format", type=click.Choice(["console", "json"])),
    click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"])),
)


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what services are told by flags: topics, where they are watched, and how they log.

    The command gets ``config``, and the others by the names of the settings.
    """
    for option in reversed(_SERVICE_OPTIONS):
        command = option(command)
    return command


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--bootstrap-servers`` and ``--config``; the command gets ``settings``.

    So a command reaches the brokers that the workers' own settings name, and in the same way: TLS
    and login come from the file and the environment.
    """

    @click.option(
        "--bootstrap-servers",
        metavar="H:P",
        envvar="HEADRACE_BOOTSTRAP_SERVERS",
        show_envvar=True,
        help="Brokers, separated by commas; else as the file says, else localhost:9092.",
    )
    @config_option
    @functools.wraps(command)
    def with_settings(
        *arguments: Any, bootstrap_servers: str | None, config: Path | None, **options: Any
    ) -> Any:
        flags = {"bootstrap_servers": bootstrap_servers}
        return command(*arguments, settings=load_settings(config=config, flags=flags), **options)

    return with_settings
