"""The ``headrace`` command. Each subcommand is imported only when it is called."""

import importlib
import sys
from typing import Any

import click

from schemas.errors import HeadraceError
from streams.offline import stay_offline

COMMANDS = (
    "app",
    "broker",
    "demo",
    "dlq",
    "entities",
    "evaluate",
    "gateway",
    "plan",
    "replay",
    "run",
    "tail",
    "top",
    "topics",
    "train",
    "version",
    "webhooks",
)


class LazyGroup(click.Group):
    """Finds ``headrace NAME`` in ``streams.commands.NAME:command``; starting stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names without importing anything."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that is asked for."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"streams.commands.{cmd_name}").command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="headrace", prog_name="headrace")
def cli() -> None:
    """Classify streaming events before their deadlines.

    \b
    Example:
      headrace demo --seconds 20
    """  # noqa: D301 - click reads \b itself


def main(args: list[str] | None = None) -> Any:
    """Run the command line; errors of ours end in one readable line and exit code 2."""
    stay_offline()
    try:
        return cli.main(args=args, prog_name="headrace")
    except HeadraceError as error:
        click.secho(f"headrace: {error}", err=True, fg="red")
        sys.exit(2)


if __name__ == "__main__":
    main()
