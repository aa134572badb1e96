"""``headrace version``."""

from importlib.metadata import version

import click


@click.command()
def command() -> None:
    """Print the version of headrace and of what it stands on.

    \b
    Example:
      headrace version
    """  # noqa: D301 - click reads \b itself
    for distribution in ("headrace", "torch", "transformers", "aiokafka"):
        click.echo(f"{distribution} {version(distribution)}")
