"""What a worker that runs under load makes of costs measured alone: read from its metrics."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from inference.cost import Coefficients
from inference.settings import SchedulerSettings
from schemas.errors import ConfigurationError
from streams.planning.arrivals import poisson
from streams.planning.costs import WorkerCosts
from streams.planning.events import PlannedEvent
from streams.planning.simulate import Planner

LEAST_EVENTS = 200
"""Fewer do not tell what one takes."""
TIMEOUT_S = 10.0
FIT_S = 10.0
"""Length of the load by which the simulation is compared with what was read."""

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True, slots=True)
class Observed:
    """What a worker did while it was read.

    Attributes:
        rate: Events per second.
        cores: Kept busy by its process.
        batch_s: What a batch took on average, of ``batch_tokens`` in ``batch_events``.
        source: Where and when, for people.
    """

    rate: float
    cores: float
    batch_s: float
    batch_tokens: float
    batch_events: float
    source: str


async def read_worker(url: str, model: str, *, seconds: float) -> Observed:
    """Read a running worker's metrics twice; return what it did between.

    Args:
        url: Of its metrics port, with or without ``/metrics``.
        model: That it is to run.
        seconds: Between the two.

    Raises:
        ConfigurationError: It cannot be read, runs another model, is one of several behind one
            port, or has too little to do.
    """
    address = url.rstrip("/").removesuffix("/metrics") + "/metrics"
    before = await _read(address)
    await asyncio.sleep(seconds)
    after = await _read(address)

    def gained(name: str, **labels: str) -> float:
        return _total(after, name, labels) - _total(before, name, labels)

    events, batches = gained("headrace_events_total"), gained("headrace_batch_seconds_count")
    if not _total(after, "process_cpu_seconds_total", {}):
        raise ConfigurationError(
            f"--worker {url}: does not say what processor time it takes, as behind one port of "
            "several processes; run one with --workers 1 to read it"
        )
    if events < LEAST_EVENTS or not batches:
        raise ConfigurationError(
            f"--worker {url}: took {events:,.0f} events in {seconds:g} s, too few to tell what one "
            "takes; read it under load, or for longer (--worker-seconds)"
        )
    if gained("headrace_batch_seconds_count", model=model) < batches:
        raise ConfigurationError(
            f"--worker {url}: runs not {model} alone; plan for the model that it runs (--model), "
            "with a worker of that one"
        )
    return Observed(
        rate=events / seconds,
        cores=gained("process_cpu_seconds_total") / seconds,
        batch_s=gained("headrace_batch_seconds_sum") / batches,
        batch_tokens=gained("headrace_batch_tokens_total") / batches,
        batch_events=gained("headrace_batch_events_sum") / batches,
        source=f"with {url} read over {seconds:g} s at {events / seconds:,.0f} events/s",
    )


def fitted_to(
    costs: WorkerCosts,
    observed: Observed,
    events: Sequence[PlannedEvent],
    settings: SchedulerSettings,
) -> WorkerCosts:
    """Return costs measured alone as they are beside whatever shares the worker's cores.

    What its batches took longer than alone is waiting, for a core or the interpreter: it does not
    grow with the batch. What its process took is made to agree by one factor for all of it.

    Args:
        costs: Measured on such a machine.
        observed: What a worker did there.
        events: Of the load to be planned; their contents come at random times.
        settings: Of the scheduler.
    """
    full = next(iter(costs.curve.efforts.values()))
    alone_s = full.seconds(observed.batch_tokens, observed.batch_events)
    wait_s = max(0.0, observed.batch_s - alone_s)
    waiting = Coefficients(fixed_s=wait_s)
    efforts = {
        name: Coefficients(*map(sum, zip(curve, waiting, strict=True)))
        for name, curve in costs.curve.efforts.items()
    }
    curve = replace(costs.curve, efforts=efforts, wait_s=wait_s)
    # Waiting takes no processor time.
    device_cpu = costs.device_cpu * alone_s / max(alone_s, observed.batch_s)
    costs = replace(costs, curve=curve, device_cpu=device_cpu)
    contents = itertools.cycle(events)
    load = [replace(next(contents), at_s=at_s) for at_s in poisson(observed.rate, FIT_S, seed=1)]
    idle = costs.loop.idle
    factor = (observed.cores - idle) / (Planner(costs, settings).plan(load, 1).cores - idle)
    loop = costs.loop._replace(
        admit_s=costs.loop.admit_s * factor,
        answer_s=costs.loop.answer_s * factor,
        round_s=costs.loop.round_s * factor,
    )
    source = f"{costs.source}, {observed.source}"
    return replace(costs, loop=loop, device_cpu=device_cpu * factor, source=source)


async def _read(address: str) -> Samples:
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(address) as response,
        ):
            response.raise_for_status()
            text = await response.text()
            families = list(text_string_to_metric_families(text))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise ConfigurationError(
            f"--worker {address}: cannot be read: {error!r}; give the address of a worker that was "
            "started with --metrics-port"
        ) from error
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def _total(samples: Samples, name: str, labels: Mapping[str, str]) -> float:
    wanted = set(labels.items())
    return sum(value for (each, has), value in samples.items() if each == name and wanted <= has)
