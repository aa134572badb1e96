"""What signals should have become of results, and what did."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable

from aiokafka import ConsumerRecord

from schemas import Classification, Outbound, decode_signal
from streams.apps.signals import signals
from tests.integration.app import AppRun, latest, name_of, replayed

SETTLED_S = 240.0
Keyed = list[tuple[bytes, Classification]]


async def compare(run: AppRun, results: Keyed) -> None:
    """Wait until there is a signal for each that the pure functions derive; then compare all."""
    wanted = replayed(signals(), [one for _, one in results])
    give_up = time.monotonic() + SETTLED_S
    while True:
        found = latest(await run.derived())
        if found.keys() >= wanted.keys() or time.monotonic() > give_up:
            break
        await asyncio.sleep(0.5)
    missing = sorted(wanted.keys() - found.keys())
    assert not missing, (
        f"{len(missing)} of {len(wanted)} missing: {gaps(missing, found)}\n{run.logs()}"
    )
    assert found.keys() == wanted.keys()
    differ = [
        name
        for name, record in found.items()
        if (record.key, record.value) != (wanted[name].key, wanted[name].value)
    ]
    assert not differ, told(differ, found, wanted, run)


def gaps(missing: list[str], found: Iterable[str]) -> list[str]:
    """Say of each ticker what is missing, and up to where signals were found."""
    last: dict[str, int] = defaultdict(int)
    lost: dict[str, list[int]] = defaultdict(list)
    for name in found:
        last[name.split(":")[0]] = max(last[name.split(":")[0]], int(name.split(":")[-2]))
    for name in missing:
        lost[name.split(":")[0]].append(int(name.split(":")[-2]))
    return [
        f"{ticker}: {len(those)} from {min(those)} to {max(those)}, found up to {last[ticker]}"
        for ticker, those in lost.items()
    ]


def check_once(derived: list[ConsumerRecord]) -> None:
    """Check that no signal was published twice."""
    times = Counter((name_of(one.headers), one.value) for one in derived)
    again = [(name, count) for (name, _), count in times.items() if count > 1]
    assert not again, f"{len(again)} of {len(times)} were published again: {again[:5]}"


def told(
    differ: list[str],
    found: dict[str, ConsumerRecord],
    wanted: dict[str, Outbound],
    run: AppRun,
) -> str:
    """Say how signals differ: which results they lack or have too many."""
    lines = [f"{len(differ)} of {len(wanted)} signals differ"]
    for name in differ[:20]:
        record = found[name]
        have, want = (decode_signal(one.value or b"") for one in (record, wanted[name]))
        lack, more = set(want.results) - set(have.results), set(have.results) - set(want.results)
        where = f"{record.partition}:{record.offset} at {record.timestamp}"
        lines.append(f"{name} ({where}): lacks {sorted(lack)}, has {sorted(more)} too")
    return "\n".join([*lines, run.logs()])
