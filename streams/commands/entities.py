"""``headrace entities``."""

import time
from pathlib import Path
from typing import Any

import click
import orjson

from schemas.errors import ConfigurationError
from streams.commands.options import config_option
from streams.entities.gazetteer import Gazetteer
from streams.entities.linker import Linker
from streams.entities.loading import load_gazetteer
from streams.entities.mentions import How, Mention
from streams.entities.names import Doubt
from streams.entities.reading import GazetteerError
from streams.settings import load_settings

EXIT_REFUSED = 1

_alone_option = click.option(
    "--alone", is_flag=True, help="The file in place of the list that ships, not over it."
)


@click.group()
def command() -> None:
    """Look at which companies are found in news.

    \b
    Examples:
      headrace entities link "Apple and TSMC shares fall"
      headrace entities check my-companies.csv
    """  # noqa: D301 - click reads \b itself


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@_alone_option
def check(file: Path, *, alone: bool) -> None:
    """Read a list of companies as a worker would, and say what is wrong with it.

    \b
    Examples:
      headrace entities check my-companies.csv
      headrace entities check every-share.jsonl --alone
    """  # noqa: D301 - click reads \b itself
    settings = load_settings(
        environment={}, flags={"entities": {"file": str(file), "extend_default": not alone}}
    )
    began = time.perf_counter()
    try:
        gazetteer = load_gazetteer(settings.entities)
    except GazetteerError as error:
        click.secho(str(error), err=True, fg="red")
        click.echo(f"{len(error.problems):,} to correct", err=True)
        raise SystemExit(EXIT_REFUSED) from None
    _tell(gazetteer, file, time.perf_counter() - began)


def _tell(gazetteer: Gazetteer, file: Path, seconds: float) -> None:
    own = sum(row.where.startswith(f"{file.name}:") for row in gazetteer.rows)
    doubtful = sum(bool(row.also_word or row.also_name) for row in gazetteer.rows)
    click.echo(
        f"{file}: {own:,} companies; with what ships, {len(gazetteer):,} by "
        f"{gazetteer.names:,} forms of names, {doubtful:,} with names that need context"
        if own < len(gazetteer)
        else f"{file}: {own:,} companies by {gazetteer.names:,} forms of names, "
        f"{doubtful:,} with names that need context"
    )
    click.echo(f"version {gazetteer.version}, loaded in {seconds:.2f} s")


@command.command()
@click.argument("text")
@click.option("--file", metavar="FILE", help="A list of companies, over the one that ships.")
@_alone_option
@click.option("--ticker", "tickers", multiple=True, help="That the feed gives; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")
@config_option
def link(
    *,
    text: str,
    file: str | None,
    alone: bool,
    tickers: tuple[str, ...],
    as_json: bool,
    config: Path | None,
) -> None:
    """Show which companies would be found in a text, and why, or why not.

    \b
    Examples:
      headrace entities link "Target shares jump after Walmart beats"
      headrace entities link "Orange to buy VOO" --file my-companies.csv
    """  # noqa: D301 - click reads \b itself
    if not text.strip():
        raise ConfigurationError("TEXT: is blank; give a headline in quotes")
    own = {"file": file, "extend_default": False if alone else None}
    settings = load_settings(config=config, flags={"entities": own}).entities
    linker = Linker(load_gazetteer(settings), settings)
    mentions = linker.explain(text, tickers)
    for one in mentions:
        if as_json:
            click.echo(orjson.dumps(_document(one, text, linker.gazetteer)))
        else:
            _show(one, text, linker.gazetteer)
    if not mentions and not as_json:
        click.echo("No company of the list is named here.", err=True)


def _document(mention: Mention, text: str, gazetteer: Gazetteer) -> dict[str, Any]:
    return {
        "text": text[mention.start : mention.end],
        "start": mention.start,
        "end": mention.end,
        "taken": mention.taken,
        "ticker": mention.ticker or None,
        "name": _name(mention, gazetteer),
        "how": mention.how,
        "why": mention.why,
    }


def _show(mention: Mention, text: str, gazetteer: Gazetteer) -> None:
    named = text[mention.start : mention.end]
    who = _name(mention, gazetteer) or "in no row"
    if mention.taken:
        only = "a name that only it has" if mention.how is How.NAME else "its ticker"
        why = ", ".join(mention.why) or only
        if mention.row is None:
            why = "a ticker as the text writes it"
        click.secho(f"{mention.ticker:<14}", nl=False, fg="green")
        click.echo(f"{named!r} at {mention.start}: {who}; {why}")
        return
    signs = f"only {', '.join(mention.why)}" if mention.why else "nothing in the text says so"
    if any(one.doubt is Doubt.LONGER for one in mention.owners):
        signs = ", ".join(mention.why)
    elif any(one.doubt is Doubt.SHORT for one in mention.owners):
        signs = "such capitals need the company's name in the text"
    click.secho(f"{'not linked':<14}", nl=False, fg="yellow")
    click.echo(f"{named!r} at {mention.start}: may be {who}, or something else; {signs}")


def _name(mention: Mention, gazetteer: Gazetteer) -> str | None:
    rows = [mention.row] if mention.row is not None else [one.row for one in mention.owners]
    return " or ".join(gazetteer.rows[row].name for row in rows) or None
