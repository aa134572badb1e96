"""From what is asked to plans: load the model, measure costs, simulate each load."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference.engine import Engine
from inference.optimizer import open_model
from schemas.events import Modality
from streams.planning.arrivals import bursts
from streams.planning.costs import WorkerCosts, measure
from streams.planning.events import EventLog, PlannedEvent, made_up, read_log
from streams.planning.running import fitted_to, read_worker
from streams.planning.simulate import LoadPlan, Planner
from streams.replay.mapping import Mapper, parse_map
from streams.replay.source import LineSource
from streams.routes import Route, routes_of
from streams.settings import Settings
from streams.worker.loading import load_models

MOST_WORKERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is to be planned; see ``headrace plan --help``."""

    file: str | None
    speeds: Sequence[float]
    rates: Sequence[float]
    seconds: float
    burst_factor: float
    modality: Modality
    mapping: str | None
    limit: int | None
    workers: int | None
    partitions: int | None
    most_missed: float
    worker: str | None
    worker_seconds: float
    seed: int


@dataclass(slots=True)
class Planned:
    """The answer.

    Attributes:
        places: Of the loads on a chart's lower axis, which is called ``axis``.
        unmet: Loads for which no number of workers was enough.
    """

    costs: WorkerCosts
    plans: dict[str, LoadPlan]
    places: list[float]
    axis: str
    caption: str
    about: dict[str, Any]
    unmet: list[str] = field(default_factory=list)


async def plan_loads(ask: Ask, settings: Settings, say: Callable[[str], None]) -> Planned:
    """Plan each load that is asked for.

    Args:
        ask: The loads, and what may be missed.
        settings: Of the workers.
        say: Takes lines about what is being done.

    Raises:
        ConfigurationError: Something asked for cannot be used.
        EngineError: The model cannot be loaded, or fails.
    """
    route = routes_of(settings)[0]
    ((_, engine),) = load_models([route], open_model)
    loads, places, about = await _loads(ask, route, engine)
    for line in about.pop("notes", ()):
        say(line)
    costs = await _costs(ask, settings, route, engine, next(iter(loads.values())), say)
    planner = Planner(
        costs,
        settings.scheduler,
        cache_age_s=settings.cache.max_age_ms / 1e3 if settings.cache.enabled else None,
        seed=ask.seed,
    )
    found = Planned(
        costs,
        plans={},
        places=places,
        axis="events per second" if ask.rates else "speed of the log",
        caption=f"{engine.model.name}, budget {route.budget_ms:g} ms, {route.on_overload}",
        about=about | {"model": engine.model.name, "budget_ms": route.budget_ms},
    )
    for name, events in loads.items():
        say(f"simulating {name}")
        plan = None
        if ask.workers is None:
            plan = planner.needed(
                events, ask.most_missed, partitions=ask.partitions, most_workers=MOST_WORKERS
            )
            if plan is None:
                found.unmet.append(name)
        most = min(MOST_WORKERS, ask.partitions or MOST_WORKERS)
        found.plans[name] = plan or planner.plan(events, ask.workers or most, ask.partitions)
    return found


async def _loads(
    ask: Ask, route: Route, engine: Engine
) -> tuple[dict[str, list[PlannedEvent]], list[float], dict[str, Any]]:
    """Return the loads by name, their places on an axis, and what is to be said of them."""
    if ask.file is None:
        loads = {
            f"{rate:g}/s": made_up(
                route, engine, bursts(rate, ask.seconds, ask.seed, factor=ask.burst_factor)
            ).events
            for rate in ask.rates
        }
        about = {"rate": list(ask.rates), "burst_factor": ask.burst_factor, "seconds": ask.seconds}
        return loads, list(ask.rates), about
    source = LineSource(ask.file)
    try:
        mapper = Mapper(ask.modality, fields=parse_map(ask.mapping, ask.modality), name=source.stem)
        log = await read_log(source, mapper, route, engine, limit=ask.limit)
    finally:
        source.close()
    loads = {f"speed {speed:g}": log.at_speed(speed) for speed in ask.speeds}
    return loads, list(ask.speeds), {"log": source.name, "events": len(log.events)} | _notes(log)


def _notes(log: EventLog) -> dict[str, Any]:
    notes = [f"{len(log.events):,} events over {log.span_s:,.0f} s, {log.rate:,.2f}/s on average"]
    if log.unreadable or log.rejected:
        notes.append(
            f"left out: {log.unreadable:,} lines that are no JSON object, {log.rejected:,} events "
            "that would become dead letters"
        )
    return {"notes": notes}


async def _costs(  # noqa: PLR0917 - all that they depend on
    ask: Ask,
    settings: Settings,
    route: Route,
    engine: Engine,
    events: Sequence[PlannedEvent],
    say: Callable[[str], None],
) -> WorkerCosts:
    say("measuring what batches and events cost on this machine")
    costs = await measure(route, engine, settings, events)
    if ask.worker is None:
        return costs
    say(f"reading a running worker for {ask.worker_seconds:g} s")
    observed = await read_worker(ask.worker, engine.model.name, seconds=ask.worker_seconds)
    return fitted_to(costs, observed, events, settings.scheduler)
