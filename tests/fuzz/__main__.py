"""A million records, most of them damaged, through the part of a worker that reads records.

    python -m tests.fuzz                              # a million, about ten minutes
    python -m tests.fuzz --records 20000 --seed 7

Each must end as an event that is taken or as a dead letter with its original inside, whatever it
is; nothing may raise, hang, or make the process grow. Ends with 1 if something did.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import click

from schemas.events import Modality
from tests.fuzz.run import Fuzzed, fuzz

MOST_GROWTH = 0.05
SLOW_S = 1.0


def main() -> None:
    """Read the flags, run, report."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"), help="of bad records")
    options = parser.parse_args()
    click.echo(f"{options.records:,} records, seed {options.seed}")
    found = fuzz(options.records, options.seed, out=options.out, tick=_tick)
    click.echo("\r" + " " * 70 + "\r", nl=False)
    sys.exit(_report(found, options.seed))


def _tick(found: Fuzzed) -> None:
    if sys.stdout.isatty():
        click.echo(f"\r{found.records:,} in {found.seconds:.0f} s", nl=False)


def _report(found: Fuzzed, seed: int) -> int:
    """Print the figures; return the exit code."""
    names = sorted({end for _, end in found.outcomes}, key=lambda end: (end != "taken", end))
    for modality in Modality:
        counts = Counter({end: found.outcomes[modality, end] for end in names})
        told = ", ".join(f"{end} {counts[end]:,}" for end in names)
        click.echo(f"  {modality.value:11} {counts.total():>9,}: {told}")
    rate = found.records / found.seconds
    click.echo(f"{found.records:,} records in {found.seconds:.0f} s, {rate:,.0f} a second")
    click.echo(f"slowest record: {found.slowest_s * 1e3:.1f} ms: {found.slowest}")
    click.echo(
        f"memory: {found.rss_early / 2**20:.0f} MiB after a tenth, {found.rss_end / 2**20:.0f} MiB "
        f"at the end ({found.growth:+.1%})"
    )
    problems = [f"{problem} ({path})" for problem, path in found.broken.items()]
    if found.growth > MOST_GROWTH:
        problems.append(f"memory grew by {found.growth:.1%}; {MOST_GROWTH:.0%} may be")
    if found.slowest_s > SLOW_S:
        problems.append(f"a record took longer than {SLOW_S:g} s")
    for problem in problems:
        click.echo(f"BROKEN: {problem}"[:500])
    click.echo(f"replay: --seed {seed}" if problems else "nothing escaped, hung or grew")
    return 1 if problems else 0


if __name__ == "__main__":
    main()
