"""Faults on a seeded schedule against real workers and a real broker, then an audit of every event.

    python -m tests.faults                       # 60 faults, about five minutes
    python -m tests.faults --faults 300 --seed 7 # as many as one likes; a seed replays a schedule
    python -m tests.faults --seed 7 --list       # what would happen, and when

Ends with 0 if every promise was kept, with 1 if one was broken.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import click

from schemas.errors import HeadraceError
from streams.broker import open_broker
from streams.clients import silence_client_logs
from tests.faults.injecting import Done
from tests.faults.member import End
from tests.faults.report import end_line, fault_line, show
from tests.faults.run import AT_LEAST_ONCE, EXACTLY_ONCE, Outcome, Plan, run
from tests.faults.schedule import MEANING, Fault, Kind, schedule


def main() -> None:
    """Read the flags, run, report."""
    options = _options()
    kinds = [Kind(name) for name in options.kinds.split(",")] if options.kinds else list(Kind)
    faults = schedule(
        options.seed,
        options.faults,
        workers=options.workers,
        session_s=options.session_ms / 1e3,
        kinds=kinds,
    )
    if options.list:
        click.echo("\n".join(map(str, faults)))
        return
    with tempfile.TemporaryDirectory(prefix="headrace-faults-") as scratch:
        directory = options.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        silence_client_logs()
        try:
            outcome = asyncio.run(_run(options, faults, directory))
        except HeadraceError as error:
            click.echo(f"faults: {error}", err=True)
            sys.exit(2)
    sys.exit(1 if outcome.broken else 0)


async def _run(options: argparse.Namespace, faults: list[Fault], directory: Path) -> Outcome:
    began = time.time()

    def start() -> None:
        nonlocal began
        began = time.time()
        click.echo(f"the stream flows; {len(faults)} faults, seed {options.seed}")

    def told(done: Done, behind: int) -> None:
        click.echo(fault_line(done, began, behind))

    def ended(end: End) -> None:
        click.echo(end_line(end, began))

    plan = Plan(
        faults=faults,
        seed=options.seed,
        workers=options.workers,
        model=options.model or _small_model(directory),
        rate=options.rate,
        session_ms=options.session_ms,
        delivery=options.delivery,
        ordered=options.preserve_ordering,
        static=options.static,
        settings="\n".join(options.set),
        open_broker=partial(open_broker, options.broker),
        directory=directory,
        keep_data=options.keep is not None,
        told=told,
        ended=ended,
        began=start,
    )
    click.echo(f"{options.workers} workers, {options.delivery}, logs in {directory}")
    outcome = await run(plan)
    show(outcome.found, plan.promises, outcome.kills, options.session_ms / 1e3)
    click.echo(f"{len(outcome.done)} faults in {outcome.seconds / 60:.1f} min")
    click.echo(f"{len(outcome.ends)} times a worker ended by itself and was started again")
    for line, count in outcome.tracebacks.most_common():
        click.echo(f"  {count} times in the logs, with a traceback: {line}"[:200])
    for line in outcome.broken:
        click.echo(f"BROKEN: {line}"[:400])
    click.echo("every promise was kept" if not outcome.broken else f"replay: --seed {options.seed}")
    return outcome


def _small_model(directory: Path) -> str:
    """Write a real model that is small: it starts in a moment, and again and again."""
    from tests.fakes.small_model import write_small_checkpoint  # noqa: PLC0415 - imports torch

    return str(write_small_checkpoint(directory / "model"))


def _options() -> argparse.Namespace:
    kinds = "\n".join(f"  {kind:15} {words}" for kind, words in MEANING.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=f"{__doc__}\nFaults:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--faults", type=int, default=60, help="how many (60)")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--workers", type=int, default=2, help="in the group (2)")
    parser.add_argument("--kinds", metavar="A,B", help="no others than these")
    parser.add_argument("--list", action="store_true", help="print the schedule and do nothing")
    parser.add_argument("--rate", type=float, default=150.0, help="events a second (150)")
    parser.add_argument("--session-ms", type=int, default=2_000, help="session time-out (2000)")
    parser.add_argument("--delivery", choices=[AT_LEAST_ONCE, EXACTLY_ONCE], default=AT_LEAST_ONCE)
    parser.add_argument("--preserve-ordering", action="store_true", help="ask for it, audit it")
    parser.add_argument("--static", action="store_true", help="static membership in the group")
    parser.add_argument("--model", help="a checkpoint of news; a small one of our own if not given")
    parser.add_argument("--broker", choices=["maven", "docker"], default="maven")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="of logs, findings, broker's data")
    parser.add_argument("--set", action="append", default=[], metavar="LINE", help="TOML setting")
    return parser.parse_args()


if __name__ == "__main__":
    main()
