"""``headrace plan``."""

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console

from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams.logs import configure
from streams.planning.arrivals import MOST_BURST_FACTOR
from streams.settings import Settings, load_settings, parse_models

_MODALITIES = click.Choice([modality.value for modality in Modality])
_SHARE = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)(?P<percent>%?)").fullmatch


@click.command()
@click.argument("file", required=False, metavar="[FILE|-]")
@click.option("--speed", "speeds", default="1", show_default=True, metavar="X,…", help="Of a log.")
@click.option("--rate", "rates", metavar="N,…", help="Events per second, in place of a log.")
@click.option("--seconds", type=click.FloatRange(1, 86_400), default=60.0, show_default=True)
@click.option(
    "--burst-factor",
    type=click.FloatRange(1, MOST_BURST_FACTOR),
    default=1.0,
    show_default=True,
    help="For a fifth of the time --rate comes so many times as fast.",
)
@click.option("--modality", type=_MODALITIES, default="news", show_default=True)
@click.option("--model", metavar="PATH|NAME", help="Instead of the one that ships.")
@click.option("--map", "mapping", metavar="THEIRS=OURS,…", help="As of `headrace replay`.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Most events of the log.")
@click.option("--budget-ms", type=click.FloatRange(1, 3_600_000), help="Where events name none.")
@click.option("--on-overload", type=click.Choice(["degrade", "shed", "late"]))
@click.option("--workers", type=click.IntRange(1, 256), help="Instead of as many as needed.")
@click.option("--partitions", type=click.IntRange(1, 10_000), help="Of the topic [4 a worker].")
@click.option("--most-missed", default="0.1%", show_default=True, metavar="SHARE")
@click.option("--cores", type=click.IntRange(min=1), help="Of the machine [this one's].")
@click.option("--worker", "url", metavar="URL", help="Take costs from a running worker's metrics.")
@click.option("--worker-seconds", type=click.FloatRange(1, 3_600), default=10.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of all chance.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw it, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.option("--config", type=click.Path(path_type=Path), help="The workers' TOML file.")
def command(**options: Any) -> None:
    """Say what a load would do to workers, before it comes.

    Runs the scheduler of `headrace run` on a simulated clock, over the times and texts of a log or
    over made-up ones, with costs measured on this machine in some ten seconds or read from a worker
    that runs under load. Says what is missed by class, the cores kept busy, and the fewest
    workers and partitions with which no class misses more than --most-missed.

    \b
    Examples:
      headrace plan news.jsonl --speed 1,3,10 --budget-ms 150
      headrace plan --rate 500,2000 --burst-factor 2.5 --modality transcript --plot plan.svg
      headrace plan news.jsonl --speed 3 --worker http://localhost:9464 --workers 2
    """  # noqa: D301 - click reads \b itself
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    most_missed = _share(options["most_missed"])
    if (options["file"] is None) == (options["rates"] is None):
        raise ConfigurationError("FILE and --rate: give a log, or a rate, but not both")
    settings = _settings(options)
    configure(settings.log_format, "warning")

    from streams.planning.run import Ask, Planned, plan_loads  # noqa: PLC0415 - torch may follow

    ask = Ask(
        file=options["file"],
        speeds=_numbers("--speed", options["speeds"]),
        rates=_numbers("--rate", options["rates"]) if options["rates"] else (),
        seconds=options["seconds"],
        burst_factor=options["burst_factor"],
        modality=Modality(options["modality"]),
        mapping=options["mapping"],
        limit=options["limit"],
        workers=options["workers"],
        partitions=options["partitions"],
        most_missed=most_missed,
        worker=options["url"],
        worker_seconds=options["worker_seconds"],
        seed=options["seed"],
    )
    console = Console(stderr=True, highlight=False)
    say: Callable[[str], None] = lambda line: console.print(line, style="dim")  # noqa: E731
    planned: Planned = asyncio.run(plan_loads(ask, settings, say))
    _show(planned, ask.most_missed, options)


def _settings(options: Mapping[str, Any]) -> Settings:
    modality, model = options["modality"], options["model"]
    return load_settings(
        config=options["config"],
        flags={
            "modalities": [modality],
            "budgets": {modality: options["budget_ms"]},
            "on_overload": options["on_overload"],
            "models": parse_models(f"{modality}={model}") if model else None,
        },
    )


def _show(planned: Any, most_missed: float, options: Mapping[str, Any]) -> None:
    from streams.planning.report import (  # noqa: PLC0415 - as above
        chart_of,
        document_of,
        needs_of,
        remarks,
        table_of,
    )

    if options["plot"]:
        pairs = list(zip(planned.places, planned.plans.values(), strict=True))
        chart = chart_of(pairs, planned.axis, planned.caption)
        try:
            options["plot"].write_text(chart, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"--plot {options['plot']}: cannot be written: {error.strerror}"
            ) from error
    if options["as_json"]:
        click.echo(orjson.dumps(document_of(planned.plans, planned.costs, planned.about)))
        return
    click.echo(f"costs {planned.costs.source}\n")
    click.echo(table_of(planned.plans) + "\n")
    click.echo(needs_of(planned.plans))
    notes = remarks(planned.plans, options["cores"] or os.cpu_count() or 1)
    notes += (
        f"{load}: no number of workers that was tried misses less than {most_missed:.2%}; shown is "
        "the most that was tried. Look for a class whose budget is too short at any load."
        for load in planned.unmet
    )
    for note in notes:
        click.secho(f"\n{note}", fg="yellow")


def _numbers(name: str, text: str) -> tuple[float, ...]:
    """Read ``1,3,10``.

    Raises:
        ConfigurationError: A part is no number above 0.
    """
    found = []
    for part in text.split(","):
        try:
            number = float(part)
        except ValueError:
            number = 0.0
        if not 0.0 < number < float("inf"):
            raise ConfigurationError(
                f"{name}: {part.strip()!r} is no number above 0; write them as in 1,3,10"
            )
        found.append(number)
    return tuple(found)


def _share(text: str) -> float:
    found = _SHARE(text.strip())
    share = float(found["number"]) / (100.0 if found["percent"] else 1.0) if found else -1.0
    if not 0.0 <= share < 1.0:
        raise ConfigurationError(
            f"--most-missed: {text!r} is no share from 0 to below 1; write 0.1% or 0.001"
        )
    return share
