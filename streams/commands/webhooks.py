"""``headrace webhooks``."""

import asyncio
import sys
from contextlib import AsyncExitStack

import click
import structlog

from schemas.errors import BrokerError, ConfigurationError
from streams.clients import pass_over_client_futures
from streams.commands.options import settings_options
from streams.health import Health, serve
from streams.logs import configure
from streams.settings import Settings
from streams.signals import on_stop_signals
from streams.webhooks.retrying import Outcome
from streams.webhooks.service import Prepared, Terms, Webhooks, prepare
from streams.webhooks.settings import Webhook
from streams.webhooks.trying import Tried, try_out

log = structlog.get_logger(__name__)

EXIT_FAILED = 1


@click.command()
@settings_options
@click.option("--only", multiple=True, metavar="NAME", help="Serve this webhook alone. Repeatable.")
@click.option("--test", "tested", metavar="NAME", help="Send one example, show the answer, end.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Instead of the setting.")
@click.option("--metrics-host", help="Instead of the setting.")
def command(
    *,
    settings: Settings,
    only: tuple[str, ...],
    tested: str | None,
    metrics_port: int | None,
    metrics_host: str | None,
) -> None:
    """Post results, signals and alerts to the endpoints that the settings list.

    Each is delivered at least once, or becomes a dead letter in webhooks.NAME.dlq. Several of these
    processes share the work. SIGTERM lets requests under way end, commits, and exits with 0.

    \b
    Examples:
      headrace webhooks --config headrace.toml --test desk
      headrace webhooks --config headrace.toml --metrics-port 9466
      headrace dlq redrive webhooks.desk.dlq --config headrace.toml
    """  # noqa: D301 - click reads \b itself
    if tested is not None:
        sys.exit(_try(_named(settings, tested)))
    chosen = tuple(_named(settings, name) for name in only) or settings.webhooks
    prepared = prepare(chosen)
    configure(settings.log_format, settings.log_level)
    connection = settings.connection("headrace-webhooks")
    connection.client_options()  # files that cannot be read are told of at once
    terms = Terms(
        connection=connection,
        create_topics=settings.create_topics,
        max_record_bytes=settings.max_record_bytes,
        drain_s=settings.drain_ms / 1e3,
        commit_interval_s=settings.commit_interval_ms / 1e3,
        session_timeout_ms=settings.session_timeout_ms,
        stall_s=settings.stall_ms / 1e3,
    )
    port = settings.metrics_port if metrics_port is None else metrics_port
    host = metrics_host or settings.metrics_host
    sys.exit(asyncio.run(_until_stopped(prepared, terms, host, port)))


def _named(settings: Settings, name: str) -> Webhook:
    for webhook in settings.webhooks:
        if webhook.name == name:
            return webhook
    known = ", ".join(webhook.name for webhook in settings.webhooks) or "none"
    raise ConfigurationError(f"webhooks: there is no {name!r}; the settings have {known}")


async def _until_stopped(
    prepared: list[Prepared], terms: Terms, host: str, port: int | None
) -> int:
    pass_over_client_futures()
    health = Health()
    webhooks = Webhooks(prepared, terms, health)
    on_stop_signals(webhooks.stop)
    async with AsyncExitStack() as stack:
        if port is not None:
            runner, taken = await serve(health, host=host, port=port)
            stack.push_async_callback(runner.cleanup)
            log.info("metrics_served", host=host, port=taken)
        try:
            await webhooks.run()
        except BrokerError as error:
            log.error("webhooks_failed", error=str(error))  # noqa: TRY400 - it names all
            return EXIT_FAILED
    log.info("webhooks_stopped")
    return 0


def _try(webhook: Webhook) -> int:
    tried = asyncio.run(try_out(webhook))
    _report(webhook, tried)
    return 0 if tried.answer.outcome is Outcome.DELIVERED else EXIT_FAILED


def _report(webhook: Webhook, tried: Tried) -> None:
    signed = "signed" if webhook.secret_file else "not signed: there is no secret_file"
    click.echo(f"POST to {webhook.name} ({webhook.format}, {signed})")
    for name, value in {"webhook-id": tried.message.id, **tried.message.headers}.items():
        click.echo(f"  {name}: {value}")
    click.echo(f"  {len(tried.message.body):,} bytes: {tried.message.body.decode()[:300]}")
    click.echo(f"{tried.answer.told} ({tried.seconds * 1e3:.0f} ms)")
    if tried.answer.outcome is Outcome.REFUSED:
        click.echo("such an answer makes a dead letter at once")
    elif tried.answer.outcome is Outcome.FAILED:
        click.echo("such an answer makes it be sent again")
