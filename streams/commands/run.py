"""``headrace run``."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from inference.work import OverloadPolicy
from schemas.events import Modality
from streams.commands.options import service_options
from streams.delivery.mode import DeliveryMode
from streams.logs import configure
from streams.settings import Settings, load_settings, parse_models

_POLICIES = click.Choice([policy.value for policy in OverloadPolicy])
_MODALITIES = click.Choice([modality.value for modality in Modality])


@click.command()
@click.option("--bootstrap-servers", metavar="H:P", help="Brokers, separated by commas.")
@click.option("--modality", "modalities", multiple=True, type=_MODALITIES, help="Repeatable.")
@click.option("--group", help="Consumer group; its workers share the partitions.")
@click.option("--workers", type=int, help="Processes to start; one per core.")
@click.option("--budget-ms", type=float, help="Budget of events that name none.")
@click.option("--on-overload", type=_POLICIES, help="What to do when a deadline cannot be met.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="[MODALITY=]PATH|NAME",
    help="Of one modality, or of all that it can read. Repeatable.",
)
@click.option(
    "--delivery",
    type=click.Choice([mode.value for mode in DeliveryMode]),
    help="What holds under faults; exactly once costs latency and is for committed readers.",
)
@click.option(
    "--preserve-ordering/--no-preserve-ordering",
    default=None,
    help="Answers of one key leave in the order of their events.",
)
@click.option("--group-instance-id", metavar="NAME", help="Static membership in the group.")
@service_options
@click.option(
    "--explain-schedule/--no-explain-schedule",
    default=None,
    help="Log why each batch was formed, what it cost, and what waits.",
)
def command(config: Path | None, **flags: Any) -> None:
    """Classify the events of the input topics until stopped.

    Without --modality, all modalities are served that have a model; those that ship have one.

    SIGTERM and Ctrl-C drain what was taken in, commit it, and exit with 0.

    \b
    Examples:
      headrace run --bootstrap-servers localhost:9092
      headrace run --workers 4 --metrics-port 9464 --on-overload shed
      headrace run --model news=./my-news-model --model camera=none
      headrace run --explain-schedule
    """  # noqa: D301 - click reads \b itself
    settings = load_settings(config=config, flags=_nested(flags))
    configure(settings.log_format, settings.log_level)
    settings.connection().client_options()  # files that cannot be read are told of at once
    # One intra-op thread per process: cores are shared out by Kafka, not by OpenMP.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(asyncio.run(_supervised(settings) if settings.workers > 1 else _alone(settings)))


def _nested(flags: dict[str, Any]) -> dict[str, Any]:
    """Sort flat flags into the tables that they belong to."""
    budget_ms, models = flags.pop("budget_ms"), flags.pop("models")
    modalities = flags.pop("modalities") or None
    return {
        **flags,
        "modalities": modalities,
        "budgets": dict.fromkeys((each.value for each in Modality), budget_ms),
        "models": parse_models(",".join(models)) if models else None,
    }


async def _alone(settings: Settings) -> int:
    from streams.worker.service import serve_worker  # noqa: PLC0415 - torch only where a model runs

    return await serve_worker(settings)


async def _supervised(settings: Settings) -> int:
    with tempfile.TemporaryDirectory(prefix="headrace-metrics-") as directory:
        # prometheus_client decides at its import whether values are shared between processes.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        from streams.signals import on_stop_signals  # noqa: PLC0415
        from streams.worker.supervisor import Supervisor  # noqa: PLC0415

        supervisor = Supervisor(settings)
        on_stop_signals(supervisor.stop)
        return await supervisor.run()
