"""``--explain-schedule``: the scheduler's decisions as lines of the log.

A line per batch says what it holds, what it was to cost and did cost, and why it was this one; a
table every few seconds says what batches cost and what waits. Where there are more batches than
anyone can read, a few of each second are written, those first that differ from the one before, and
a line says what was left out.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import structlog

from inference.clock import Clock
from inference.dispatch import Dispatch, Flight
from inference.explaining import Formed, formed, waiting
from inference.plan import enough_tokens
from inference.rules import Rule, TurnRule
from inference.scheduler import Scheduler
from inference.turns import Turn
from streams.terminal.tables import aligned

log = structlog.get_logger(__name__)

ALIKE_PER_S, UNLIKE_PER_S = 4, 12
"""Most lines a second for batches like the one before, and for all."""
TABLE_EVERY_S = 5.0
_MILLISECONDS = re.compile(r"-?\d+(?:\.\d+)?(?= ms)")
_GAP = "\0"


@dataclass(eq=False)
class _Model:
    """One lane's model, and what was seen of it since it was last told.

    Attributes:
        name: The lane's topic.
        mean_tokens: Per event, of the batches so far; 0 before any.
        shed: Reasons with the numbers taken out, and how often.
        spans: The least and most of each number, by reason.
        last: Rule and effort of the last batch.
    """

    name: str
    scheduler: Scheduler
    mean_tokens: float = 0.0
    shed: Counter[str] = field(default_factory=Counter)
    spans: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    last: tuple[Rule, str] | None = None


@dataclass
class _LeftOut:
    """Batches of a kind that had no line of their own."""

    batches: int = 0
    events: int = 0
    predicted_s: float = 0.0
    seconds: float = 0.0


class ScheduleLog:
    """Observes a device and writes what it sees, so much that people can follow.

    Args:
        style: ``console`` writes sentences and tables, ``json`` fields.
        write: Where lines go: an event and its fields.
    """

    def __init__(
        self, clock: Clock, style: str = "console", write: Callable[..., Any] = log.info
    ) -> None:
        self._clock = clock
        self._readable = style != "json"
        self._write = write
        self._models: dict[Dispatch, _Model] = {}
        self._flying: dict[Flight, Formed] = {}
        self._left_out: dict[tuple[str, str, Rule], _LeftOut] = {}
        self._second = self._table_at = clock.monotonic()
        self._alike = self._unlike = 0
        self._news = False

    def watch(self, topic: str, scheduler: Scheduler) -> None:
        """Explain a scheduler's batches, which are of one topic's events."""
        self._models[scheduler.dispatch] = _Model(topic, scheduler)

    def decided(self, turn: Turn, now: float) -> None:  # noqa: ARG002 - the protocol's
        """Note what was decided; see ``inference.explaining.ScheduleObserver``."""
        for owner, shed in turn.shed:
            _count(self._models[owner], str(shed.reason))
            self._news = True
        if turn.flight is not None:
            self._flying[turn.flight] = formed(turn.flight)

    def landed(self, flight: Flight, seconds: float) -> None:
        """Write or count a batch that ended."""
        batch = self._flying.pop(flight, None)
        if batch is None:
            return
        self._news = True
        model = self._models[flight.owner]
        mean = batch.tokens / batch.events
        model.mean_tokens += (mean - model.mean_tokens) * (0.1 if model.mean_tokens else 1.0)
        if self._may_write(model, batch):
            self._tell_batch(model, batch, seconds)
        else:
            left_out = self._left_out.setdefault((model.name, batch.effort, batch.rule), _LeftOut())
            left_out.batches += 1
            left_out.events += batch.events
            left_out.predicted_s += batch.predicted_s
            left_out.seconds += seconds

    def tick(self) -> None:
        """Write what is due by time; to be called several times a second."""
        now = self._clock.monotonic()
        if now - self._second >= 1.0:
            self._begin_second(now)
        if now - self._table_at < TABLE_EVERY_S:
            return
        self._table_at = now
        if not self._news:
            return  # an idle worker says nothing
        self._news = False
        for model in self._models.values():
            self._tell_shed(model)
            self._tell_costs(model, now)

    def _may_write(self, model: _Model, batch: Formed) -> bool:
        now = self._clock.monotonic()
        if now - self._second >= 1.0:
            self._begin_second(now)
        kind = batch.rule, batch.effort
        alike, model.last = kind == model.last, kind
        if self._unlike >= UNLIKE_PER_S or (alike and self._alike >= ALIKE_PER_S):
            return False
        self._unlike += 1
        self._alike += alike
        return True

    def _begin_second(self, now: float) -> None:
        self._second = now
        self._alike = self._unlike = 0
        left_out, self._left_out = self._left_out, {}
        for (name, effort, rule), sums in left_out.items():
            ratio = round(sums.seconds / sums.predicted_s, 2) if sums.predicted_s else None
            if self._readable:
                took = "" if ratio is None else f", took {ratio:.2f} of predicted"
                self._write(
                    f"{name}: {sums.batches} more batches like these, {sums.events} events at "
                    f"{effort}{took}: {rule}"
                )
            else:
                self._write(
                    "batches_left_out", topic=name, effort=effort, batches=sums.batches,
                    events=sums.events, took_of_predicted=ratio, why=rule.value,
                )  # fmt: skip

    def _tell_batch(self, model: _Model, batch: Formed, seconds: float) -> None:
        self._tell_shed(model)
        if self._readable:
            self._write(_sentence(model.name, batch, seconds))
            return
        self._write(
            "batch", topic=model.name, model=model.scheduler.engine.model.name, effort=batch.effort,
            events=batch.events, tokens=batch.tokens, predicted_ms=_ms(batch.predicted_s),
            typical_ms=_ms(batch.expected_s), took_ms=_ms(seconds), slack_ms=_ms(batch.slack_s),
            left_events=batch.left_events, left_tokens=batch.left_tokens, why=batch.rule.value,
            why_this_model=batch.turn.value, why_this_effort=batch.reason,
        )  # fmt: skip

    def _tell_shed(self, model: _Model) -> None:
        if not model.shed:
            return
        shed = model.shed.most_common()
        reasons = [(count, _filled(kind, model.spans[kind])) for kind, count in shed]
        total = model.shed.total()
        model.shed, model.spans = Counter(), {}
        if self._readable:
            told = "; ".join(f"{count} {reason}" for count, reason in reasons)
            self._write(f"{model.name}: {total} shed: {told}")
        else:
            by_reason = [{"events": count, "reason": reason} for count, reason in reasons]
            self._write("shed", topic=model.name, events=total, reasons=by_reason)

    def _tell_costs(self, model: _Model, now: float) -> None:
        curves, classes = list(_curves(model)), list(_classes(model, now))
        cost = model.scheduler.cost
        if not self._readable:
            self._write(
                "schedule", topic=model.name, model=model.scheduler.engine.model.name,
                tail=round(cost.tail, 3), speed=round(cost.speed, 3),
                tokens_per_event=round(model.mean_tokens, 1), costs=curves, waiting=classes,
            )  # fmt: skip
            return
        if curves:
            rows = [list(curves[0]), *([str(cell) for cell in each.values()] for each in curves)]
            self._write(
                f"{model.name}: what batches cost, before speed {cost.speed:.2f} and tail "
                f"{cost.tail:.2f} are multiplied in; {model.mean_tokens:.1f} tokens an event\n"
                + aligned(rows)
            )
        if classes:
            rows = [list(classes[0]), *([str(cell) for cell in each.values()] for each in classes)]
            self._write(f"{model.name}: what waits\n" + aligned(rows))


def _sentence(name: str, batch: Formed, seconds: float) -> str:
    model = "" if batch.turn is TurnRule.ALONE else f"; {batch.turn}"
    effort = f"; {batch.reason}" if batch.reason else ""
    return (
        f"{name} {batch.effort:<10} {batch.events:>3} events {batch.tokens:>5} tokens  "
        f"took {seconds * 1e3:>6.2f} of {batch.predicted_s * 1e3:>6.2f} ms  "
        f"slack {batch.slack_s * 1e3:>6.1f} ms  "
        f"leaves {batch.left_events:>4} events {batch.left_tokens:>5} tokens  "
        f"{batch.rule}{effort}{model}"
    )


def _curves(model: _Model) -> Iterator[dict[str, Any]]:
    scheduler = model.scheduler
    for effort, curve in scheduler.cost.fitted().items():
        predicted = scheduler.cost.coefficients(effort)
        knee = enough_tokens(predicted, max(1.0, model.mean_tokens), scheduler.dispatch.settings)
        yield {
            "effort": effort,
            "fixed_ms": round(curve.fixed_s * 1e3, 3),
            "us_per_token": round(curve.per_token_s * 1e6, 2),
            "us_per_event": round(curve.per_event_s * 1e6, 2),
            "knee_tokens": round(knee),
        }


def _classes(model: _Model, now: float) -> Iterator[dict[str, Any]]:
    for line in waiting(model.scheduler.dispatch, now):
        yield {
            "priority": line.priority,
            "on_overload": line.policy.value,
            "events": line.events,
            "tokens": line.tokens,
            "first_due_in_ms": round(line.slack_s * 1e3, 1),
            "first_waits_ms": round(line.oldest_s * 1e3, 1),
            "share": round(line.share, 3),
        }


def _count(model: _Model, reason: str) -> None:
    """Count a reason with those that differ from it in their milliseconds alone."""
    kind = _MILLISECONDS.sub(_GAP, reason)
    model.shed[kind] += 1
    numbers = [float(each) for each in _MILLISECONDS.findall(reason)]
    known = model.spans.get(kind)
    model.spans[kind] = (
        [(number, number) for number in numbers]
        if known is None
        else [
            (min(least, number), max(most, number))
            for (least, most), number in zip(known, numbers, strict=True)
        ]
    )


def _filled(kind: str, spans: list[tuple[float, float]]) -> str:
    """Put the ranges of the numbers back in."""
    parts = kind.split(_GAP)
    texts = [f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in spans]
    return "".join(part + text for part, text in zip(parts, [*texts, ""], strict=True))


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)
