"""What arrives when: Poisson, in bursts, or at the times of a log, the same for the same seed."""

import json
import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

TIME_FIELDS = ("ts_ms", "timestamp_ms", "time", "published_at", "timestamp")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event of a load.

    Attributes:
        at_s: When it is due to arrive, in seconds from the start.
        text: Which of the texts it is.
        budget_s: From then to its deadline.
        priority: As in events, 0 to 9.
    """

    at_s: float
    text: int
    budget_s: float
    priority: int


def arrivals(
    times: Sequence[float],
    texts: int,
    budgets_s: Sequence[float],
    *,
    seed: int,
    priority: int = 4,
) -> list[Arrival]:
    """Let an event arrive at each time, its text and budget drawn from a seed.

    Args:
        times: Seconds from the start, in order.
        texts: How many there are to choose from.
        budgets_s: What budgets there are.
        seed: Draws both.
        priority: Of all of them.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret
    return [
        Arrival(at_s, dice.randrange(texts), dice.choice(budgets_s), priority) for at_s in times
    ]


@dataclass(frozen=True)
class Log:
    """The arrival times of a log.

    Attributes:
        times: Seconds from its first line, in order.
    """

    times: list[float]

    @property
    def rate(self) -> float:
        """Events per second on average, at the log's own speed."""
        return (len(self.times) - 1) / self.times[-1]

    def at(self, rate: float, seconds: float) -> list[float]:
        """Return its times at such a speed that ``rate`` come a second; over and over."""
        speed = rate / self.rate
        # The way from the last line to the first again is as long as any other on average.
        whole = self.times[-1] * len(self.times) / (len(self.times) - 1)
        found: list[float] = []
        start = 0.0
        while start / speed < seconds:
            left = bisect_left(self.times, seconds * speed - start)
            found += ((start + time) / speed for time in self.times[:left])
            start += whole
        return found


def read_log(path: Path) -> Log:
    """Read the times of a JSON-lines log: milliseconds since the epoch or ISO 8601.

    Raises:
        SystemExit: A line has no time, or the log spans none.
    """
    times = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            row = json.loads(line)
            found = next((row[name] for name in TIME_FIELDS if name in row), None)
            try:
                times.append(_seconds(found))
            except (TypeError, ValueError) as error:
                raise SystemExit(
                    f"{path}:{number}: its time is {found!r}; give milliseconds since the epoch "
                    f"or ISO 8601 in one of {', '.join(TIME_FIELDS)}"
                ) from error
    times.sort()
    if not times or times[0] == times[-1]:
        raise SystemExit(f"{path}: spans no time; give a log with lines of at least two moments")
    return Log([time - times[0] for time in times])


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        return datetime.fromisoformat(value).timestamp()
    return float(value) / 1e3
