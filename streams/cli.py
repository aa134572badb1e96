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


OURS = frozenset({"schemas", "inference", "streams"})


class LazyGroup(click.Group):
    """Finds ``headrace NAME`` in ``streams.commands.NAME:command``; starting stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names without importing anything."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that is asked for.

        Where a package that it needs is missing, as beside apps, it says so when it is called.
        """
        del ctx
        if cmd_name not in COMMANDS:
            return None
        try:
            command: click.Command = importlib.import_module(f"streams.commands.{cmd_name}").command
        except ModuleNotFoundError as error:
            if _is_ours(error):
                raise
            return _lacking(cmd_name, error)
        return command


def _is_ours(error: ModuleNotFoundError) -> bool:
    return (error.name or "").partition(".")[0] in OURS


def _lacking(name: str, error: ModuleNotFoundError) -> click.Command:
    """Return what stands for a command that cannot be imported."""

    def refuse() -> None:
        raise error

    return click.Command(
        name,
        callback=refuse,
        short_help=f"Not here: needs the package {error.name}.",
        # Whatever is asked of it, the answer is the same.
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


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
        told = str(error)
    except ModuleNotFoundError as error:
        if _is_ours(error):
            raise
        told = (
            f"this needs the package {error.name}, which the environment lacks; install all of "
            "headrace with `pip install headrace`"
        )
    click.secho(f"headrace: {told}", err=True, fg="red")
    sys.exit(2)


if __name__ == "__main__":
    main()
