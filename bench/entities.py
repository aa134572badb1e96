"""What it costs to find companies in news, and how often it is right.

    python bench/entities.py               # about half a minute
    python bench/entities.py --data DIR    # on DIR/news/*/test.jsonl, and how often it is right

The list that ships, and a made-up one of 100,000 names, on one core: processor time for each
headline, memory, time to load, and the longest that an event loop stands still while the list is
exchanged under it. ``entities_labels.jsonl`` says for 750 of the texts which companies they name.
"""

import argparse
import asyncio
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil
from headlines import synthetic
from report import facts
from rich.console import Console
from rich.table import Table

from schemas.events import NewsEvent
from streams.entities.linker import Linker
from streams.entities.loading import Reloader, load_gazetteer
from streams.entities.settings import Entities
from streams.logs import configure

SETS = ("sentfin_sentiment", "twitter_fin_topic")
LABELS = Path(__file__).with_name("entities_labels.jsonl")
NAMES = 100_000
ROUNDS = 5
SWITCH_INTERVAL_S = 0.0005
"""The interpreter changes hands as often as in a worker."""
SYLLABLES = ("ba", "cor", "del", "eng", "fir", "gul", "han", "il", "jor", "kam", "lo", "mun", "nar")


class Text(msgspec.Struct):
    """A line of a labelled log."""

    id: str
    text: str


class Label(msgspec.Struct):
    """Which companies a text names.

    Attributes:
        half: 1 for the texts that list and rules were corrected by, 2 for those that were looked at
            once, when both were done; by a digest of the id.
        tickers: Of all listed companies, whether the list that ships holds them or not.
        others: Companies that were listed then and have no ticker any more.
    """

    id: str
    half: int
    tickers: tuple[str, ...]
    others: int


class Cost(NamedTuple):
    """What a list costs."""

    companies: int
    names: int
    load_s: float
    mib: float
    pause_ms: float
    texts_us: tuple[float, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR")
    data: Path | None = parser.parse_args(arguments).data
    configure("console", "error")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    sets = read_sets(data)
    console = Console(width=110, highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        made_up = Path(folder, "made_up.csv")
        made_up.write_text(generated(NAMES), encoding="utf-8")
        shipped = measure(Entities(), sets, Path(folder, "one.csv"))
        large = measure(Entities(file=str(made_up)), sets, made_up)
    console.print(costs_table(sets, {"that ships": shipped, "and 100,000 names": large}))
    if data is not None:
        texts = {one.id: one.text for part in sets.values() for one in part}
        console.print(quality_table(texts))
    console.print(facts())
    return 0


def read_sets(data: Path | None) -> dict[str, list[Text]]:
    """Read the logs, or make headlines up."""
    if data is None:
        made = [Text(str(number), text) for number, text in enumerate(made_up_texts(2_000))]
        return {"made up": made}
    found = {}
    for name in SETS:
        lines = (data / "news" / name / "test.jsonl").read_bytes().splitlines()
        found[name] = [msgspec.json.decode(line, type=Text) for line in lines]
    return found


def made_up_texts(number: int) -> list[str]:
    """Return headlines of made-up companies; every other one names a real one as well."""
    names = itertools.cycle(("Apple Inc", "Infosys", "BP and Shell", "$TSLA", "Goldman Sachs"))
    texts = itertools.islice(synthetic(seed=1), number)
    return [f"{next(names)}: {text}" if at % 2 else text for at, text in enumerate(texts)]


def generated(number: int) -> str:
    """Return a list of made-up names, of one to three words, as CSV."""
    chance = random.Random(1)  # noqa: S311 - names to look for
    names: set[str] = set()
    while len(names) < number:
        words = [
            "".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))).title()
            for _ in range(chance.choice((1, 2, 2, 3)))
        ]
        names.add(" ".join(words))
    rows = (f"{name},X{at:06}" for at, name in enumerate(sorted(names)))
    return "name,ticker\n" + "\n".join(rows) + "\n"


def measure(settings: Entities, sets: dict[str, list[Text]], file: Path) -> Cost:
    """Load a list, link all texts by it, and exchange it under a loop."""
    process = psutil.Process()
    before, began = process.memory_info().rss, time.process_time()
    linker = Linker(load_gazetteer(settings), settings)
    load_s = time.process_time() - began
    mib = (process.memory_info().rss - before) / 2**20
    costs = []
    for texts in sets.values():
        events = [NewsEvent(id=one.id, headline=one.text) for one in texts]
        best = min(_seconds(linker, events) for _ in range(ROUNDS))
        costs.append(best / len(events) * 1e6)
    pause_ms = min(pause_while_exchanged(linker, file, number) for number in range(ROUNDS)) * 1e3
    found = linker.gazetteer
    return Cost(len(found), found.names, load_s, mib, pause_ms, tuple(costs))


def _seconds(linker: Linker, events: list[NewsEvent]) -> float:
    began = time.process_time()
    for event in events:
        linker.link(event)
    return time.process_time() - began


def pause_while_exchanged(linker: Linker, file: Path, number: int) -> float:
    """Add a company to the list; return the longest seconds between two turns of a loop."""
    before = file.read_text(encoding="utf-8") if file.exists() else "name,ticker\n"
    file.write_text(before, encoding="utf-8")
    reloader = Reloader(linker, Entities(file=str(file)))
    file.write_text(f"{before}Somebody New {number},NEW{number}\n", encoding="utf-8")
    old = linker.gazetteer
    longest = asyncio.run(longest_pause(reloader))
    if linker.gazetteer is old:
        raise RuntimeError("nothing was exchanged")
    return longest


async def longest_pause(reloader: Reloader) -> float:
    """Return the longest seconds between two turns of the loop while a changed file is loaded.

    In processor time: between two turns only the loading uses any.
    """
    loading = asyncio.create_task(_look_twice(reloader))
    longest, last = 0.0, time.process_time()
    while not loading.done():
        await asyncio.sleep(0)
        now = time.process_time()
        longest, last = max(longest, now - last), now
    await loading
    return longest


async def _look_twice(reloader: Reloader) -> None:
    await reloader.look()
    await reloader.look()


def costs_table(sets: dict[str, list[Text]], costs: dict[str, Cost]) -> Table:
    """Lay costs out by list."""
    table = Table(title="What finding companies costs, on one core", title_justify="left")
    for head in ("list", "companies", "names", "load", "memory", "longest pause", *sets):
        table.add_column(head, justify="left" if head == "list" else "right")
    for name, cost in costs.items():
        each = (f"{one:.1f} µs ({1e6 / one:,.0f}/s)" for one in cost.texts_us)
        table.add_row(
            name, f"{cost.companies:,}", f"{cost.names:,}", f"{cost.load_s:.2f} s",
            f"{cost.mib:.0f} MiB", f"{cost.pause_ms:.0f} ms", *each,
        )  # fmt: skip
    return table


def quality_table(texts: dict[str, str]) -> Table:
    """Compare what is found with what people see, by half and log."""
    linker = Linker(load_gazetteer(Entities()), Entities())
    counts: dict[tuple[int, str], list[int]] = {}
    for line in LABELS.read_bytes().splitlines():
        label = msgspec.json.decode(line, type=Label)
        event = NewsEvent(id=label.id, headline=texts[label.id])
        found, named = set(linker.link(event).tickers), set(label.tickers)
        key = label.half, label.id.rsplit("-", 2)[0]
        count = counts.setdefault(key, [0] * 5)
        parts = (1, len(found & named), len(found - named), len(named - found), label.others)
        counts[key] = [one + more for one, more in zip(count, parts, strict=True)]
    table = Table(title="How often it is right", title_justify="left")
    for head in ("half", "log", "texts", "right", "wrong", "missed", "precision", "recall",
                 "no ticker now"):  # fmt: skip
        table.add_column(head, justify="left" if head == "log" else "right")
    for (half, name), (number, right, wrong, missed, others) in sorted(counts.items()):
        table.add_row(
            str(half), name, str(number), str(right), str(wrong), str(missed),
            f"{right / (right + wrong):.3f}", f"{right / (right + missed):.3f}", str(others),
        )  # fmt: skip
    return table


if __name__ == "__main__":
    raise SystemExit(main())
