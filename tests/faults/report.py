"""What a run of faults looks like on a terminal."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.faults.auditing import IN_TIME, Findings, Promises
from tests.faults.injecting import Done
from tests.faults.member import End
from tests.faults.recovery import Recovery
from tests.faults.schedule import BEYOND_SESSION_S

WIDTH = 118


def fault_line(done: Done, since: float, behind: int) -> str:
    """Describe one fault that is over.

    Args:
        done: What happened.
        since: Wall clock at which the schedule began.
        behind: Events that are not yet committed.
    """
    seconds = done.began - since
    clock = f"{int(seconds // 60):02}:{seconds % 60:04.1f}"
    fault = done.fault
    told = " ".join(f"{name}={value}" for name, value in fault.parameters.items())
    what = "; ".join(part for part in (told, done.detail, done.failed) if part)
    return (
        f"{fault.number:4}  {clock}  {fault.kind:14} {fault.victim:9} {what:60} {behind:>6} behind"
    )


def end_line(end: End, since: float) -> str:
    """Describe a worker that ended by itself."""
    seconds = end.at - since
    clock = f"{int(seconds // 60):02}:{seconds % 60:04.1f}"
    return f"      {clock}  {end.member} ended by itself, exit {end.code}: {_first_line(end.line)}"


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else "no word"


def show(found: Findings, promises: Promises, kills: Sequence[Recovery], session_s: float) -> None:
    """Print the audit and the recoveries."""
    console = Console(width=WIDTH, highlight=False)
    broken = set(found.broken(promises))
    table = Table("", "found", "promised", box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.columns[1].justify = "right"
    told_in_time = sum(found.verdicts[verdict] for verdict in IN_TIME)
    once = "none" if promises.exactly_once else "may be, with the same id"
    order = "none" if promises.ordered else "not asked for"
    rows = (
        ("lost", "lost: events without an answer", "none"),
        ("doubled", "doubled: answers beyond the first", once),
        ("doubled_uncommitted", "likewise, with what was aborted", "may be"),
        ("other_ids", "doubled under another result id", "none"),
        ("both", "with a result and a dead letter", "none"),
        ("wrong_end", "ended otherwise than they had to", "none"),
        ("strangers", "answers to no event", "none"),
        ("reordered", "reordered: behind a later event of its key", order),
        ("ahead", f"committed past an unfinished event, of {found.samples:,} samples", "none"),
        ("went_back", "commits that went back", "may be"),
        ("unfinished", "partitions not committed to their end", "none"),
        ("lies", f"said in time and was not, of {told_in_time:,}", "not near faults"),
        ("lies_undisturbed", "likewise, with no fault near", "1 % at most"),
    )
    for name, words, promised in rows:
        mark = "[red]broken[/]: " if name in broken else ""
        table.add_row(words, f"{getattr(found, name):,}", mark + promised)
    console.print()
    console.print(
        f"{found.events:,} events in, {found.answers:,} answers out; first answers:", end=" "
    )
    console.print(_counts(found.verdicts + found.letters))
    console.print(table)
    for name in sorted(broken):
        first = found.examples.get(name, [""])[0]
        console.print(f"  {name}: the first: {first}"[:600], markup=False)
    if found.missing_input:
        console.print(f"[red]{found.missing_input:,} records that the broker had are gone[/]")
    _show_recoveries(console, kills, session_s)


def _show_recoveries(console: Console, kills: Sequence[Recovery], session_s: float) -> None:
    for title, some in (
        ("kills -9 with no other fault near", [one for one in kills if one.alone]),
        ("kills -9 among other faults", [one for one in kills if not one.alone]),
    ):
        took = sorted(one.seconds for one in some if one.seconds is not None)
        if took:
            target_s = session_s + BEYOND_SESSION_S
            within = sum(one <= target_s for one in took)
            console.print(
                f"{title}: {len(some)}; partitions flowed again after {median(took):.1f} s "
                f"(median), {took[-1]:.1f} s (worst); {within} within {target_s:g} s"
            )


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none"
