"""``headrace demo``."""

import asyncio
import sys
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.live import Live
from rich.table import Table

from inference.clock import SystemClock
from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams.broker import AUTO, PROVIDERS
from streams.clients import silence_client_logs
from streams.commands.options import config_option
from streams.demo.report import Report
from streams.demo.run import Demo
from streams.demo.settings import EMBEDDED, DemoSettings
from streams.demo.view import View
from streams.models import default_model
from streams.replay.mapping import parse_map
from streams.replay.pacing import MAX_SPEED
from streams.settings import NO_MODEL, load_settings, parse_models
from streams.signals import on_stop_signals

REFRESHES_PER_S = 8
PLAIN_S = 2.0
"""Between two lines of progress where there is no terminal."""
EXIT_NOT_CLEAN = 1
_MODALITIES = click.Choice([modality.value for modality in Modality])


@click.command()
@click.option(
    "--log", type=click.Path(path_type=Path, dir_okay=False), help="JSONL; .gz and .zst too."
)
@click.option("--speed", metavar="X|max", help="Factor on the log's time. [1; with --log: max]")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Send no longer.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
@click.option(
    "--modality",
    "modalities",
    multiple=True,
    type=_MODALITIES,
    help="Repeatable. [all with a model; with --log or a model for all: news]",
)
@click.option("--map", "mapping", metavar="THEIRS=OURS,…", help="As of headrace replay.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="[MODALITY=]PATH|NAME",
    help="As of headrace run; else the modality's own.",
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option(
    "--provider",
    type=click.Choice([AUTO, *PROVIDERS]),
    help="Broker to start. [embedded; with several workers: auto]",
)
@click.option("--bootstrap-servers", metavar="H:P", help="Use this broker instead.")
@click.option(
    "--page", is_flag=True, help="Serve the live page too, and repeat the log until Ctrl-C."
)
@config_option
def command(
    *,
    log: Path | None,
    speed: str | None,
    seconds: float | None,
    as_json: bool,
    modalities: tuple[str, ...],
    mapping: str | None,
    models: tuple[str, ...],
    workers: int,
    provider: str | None,
    bootstrap_servers: str | None,
    page: bool,
    config: Path | None,
) -> None:
    """Stream a log through a broker, the model and back, and watch it happen.

    Starts a broker and workers of its own, replays the log into them, shows what comes out, and in
    the end counts anew from the broker's topics that every event was answered exactly once. The log
    that comes with it holds headlines, speech and pictures of steel; of your own, lines are read as
    what their CloudEvents type says, others as the first --modality. With
    --speed max events are sent as fast as answers come back: as many at once as are answered in
    a good half of their budget.

    Exit code 0: every event was answered once; 1: not so; 2: it could not be tried.

    \b
    Examples:
      headrace demo
      headrace demo --page
      headrace demo --log headlines.jsonl --speed 1000 --json
    """  # noqa: D301 - click reads \b itself
    silence_client_logs()
    served = _served(modalities, models, own_log=log is None)
    if workers > 1 and provider == EMBEDDED:
        raise ConfigurationError(
            "--workers: the embedded broker is wrong about consumer groups; "
            "leave out --provider embedded, or use one worker"
        )
    demo = Demo(
        DemoSettings(
            log=log,
            speed=speed or (MAX_SPEED if log else "1"),
            seconds=seconds,
            modalities=served,
            fields=parse_map(mapping, served[0]),
            models=models,
            workers=workers,
            provider=provider or (EMBEDDED if workers == 1 else AUTO),
            bootstrap_servers=bootstrap_servers,
            security=load_settings(config=config).security,
            page=page,
        )
    )
    console = Console(stderr=as_json, highlight=False)
    report = asyncio.run(_watched(demo, console))
    _conclude(report, console)
    if as_json:
        click.echo(orjson.dumps(report.as_dict()))
    sys.exit(0 if report.is_clean else EXIT_NOT_CLEAN)


def _served(
    asked: tuple[str, ...], models: tuple[str, ...], *, own_log: bool
) -> tuple[Modality, ...]:
    """Return the modalities to classify.

    Raises:
        ConfigurationError: None has a model.
    """
    if asked:
        return tuple(dict.fromkeys(Modality(name) for name in asked))
    named = parse_models(",".join(models)) if models else {}
    if not own_log or "every" in named:
        return (Modality.NEWS,)
    served = [
        modality
        for modality in Modality
        if named.get(modality, default_model(modality)) not in {None, NO_MODEL}
    ]
    if not served:
        raise ConfigurationError("--model: no modality has one; give --model news=PATH")
    return tuple(served)


async def _watched(demo: Demo, console: Console) -> Report:
    """Run the demo under the eyes of a person, or with a line now and then."""
    on_stop_signals(demo.stop)
    if not console.is_terminal:
        lines = asyncio.create_task(_lines(demo, console))
        try:
            return await demo.run()
        finally:
            lines.cancel()
            await asyncio.gather(lines, return_exceptions=True)
    view = View(demo.situation, demo.tally, SystemClock())
    # A screen of its own: what others write meanwhile cannot tear the picture.
    with Live(view, console=console, refresh_per_second=REFRESHES_PER_S, screen=True):
        report = await demo.run()
    console.print(view)
    return report


async def _lines(demo: Demo, console: Console) -> None:
    told = placed = ""
    while True:
        situation, tally = demo.situation, demo.tally
        line = f"{situation.phase}: {situation.sent:,} sent, {tally.answered:,} answered"
        if "://" in situation.place and situation.place not in placed:
            placed = situation.place
            console.print(placed, soft_wrap=True)
        if line != told:
            console.print(line, soft_wrap=True)
            told = line
        await asyncio.sleep(PLAIN_S)


def _conclude(report: Report, console: Console) -> None:
    console.print(_accounts(report))
    models = ", ".join(one.model for one in report.modalities.values() if one.model)
    console.print(f"by {models}", style="dim", soft_wrap=True)
    console.print(report.in_words(), style="bold green" if report.is_clean else "bold red")
    console.print(
        f"{report.events_per_s:,.0f} events/s over {report.wall_s:,.1f} s, "
        f"{report.mean_active_share:.0%} of the encoder per event, on {report.cpu}",
        soft_wrap=True,
    )


def _accounts(report: Report) -> Table:
    """Draw a line for each modality."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    for name in ("results", "dead letters", "in budget", "of", "p50", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("most often", overflow="ellipsis")
    for modality, one in report.modalities.items():
        table.add_row(
            modality,
            *(f"{count:,}" for count in (one.results, one.dead_letters)),
            "-" if one.within_budget is None else f"{one.within_budget:.1%}",
            *(_ms(value) for value in (one.budget_ms, one.p50_ms, one.p99_ms)),
            one.label or "-",
        )
    return table


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"
