"""Runs `headrace app fusion` on a broker, over a log that is sent in real time."""

import argparse
import asyncio
import contextlib
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from end_to_end import broker
from fusion_audit import Published, arrivals, audit, rows
from fusion_log import Load, Log, entities, generate
from signals import running

from schemas.encode import encode_result
from schemas.fused import Incomplete, decode_fused
from streams.apps.fusing import FusionSettings
from streams.apps.fusion import RESULTS
from streams.connection import Connection
from streams.topics import ensure_topics

OUTPUT = "fused.events"
LEAD_S = 3.0
"""Between the making of the log and its beginning."""
UNSURE_S = 0.25


async def run_on_kafka(
    options: argparse.Namespace, load: Load, settings: FusionSettings
) -> list[str]:
    """Send the log, collect the answers, and return the lines of a report."""
    async with broker(options) as (servers, provider):
        topics = (*RESULTS.values(), OUTPUT)
        await ensure_topics(Connection(servers), topics, partitions=options.partitions)
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "headrace.toml"
            config.write_text(_config(load, settings), "utf-8")
            async with contextlib.AsyncExitStack() as processes:
                for _ in range(options.processes):
                    await processes.enter_async_context(
                        running(
                            *("app", "fusion", "--config", str(config)),
                            HEADRACE_BOOTSTRAP_SERVERS=servers,
                            HEADRACE_PARTITIONS=str(options.partitions),
                            HEADRACE_APPS__PREFIX=f"bench-{time.time_ns()}"
                            if options.processes == 1
                            else "bench",
                        )
                    )
                log, answers = await _measure(servers, load, settings)
    found = audit(
        log,
        answers,
        wait_s=settings.wait_ms / 1e3,
        window_s=settings.window_s,
        unsure_s=UNSURE_S,
    )
    head = f"broker: {provider}; {len(log.deliveries):,} results in {load.minutes:g} minutes"
    return [head, *rows([("on Kafka", found)]), f"unsure: {found.unsure}", *_times(log, answers)]


def _config(load: Load, settings: FusionSettings) -> str:
    streams = ", ".join(f'"{one}"' for one in settings.streams)
    lines = [
        "[apps.fusion]",
        f"streams = [{streams}]",
        f"window_s = {settings.window_s}",
        f"wait_ms = {settings.wait_ms}",
    ]
    for one in entities(load):
        lines += ["[[apps.fusion.entities]]", f'name = "{one.name}"']
        for field in ("tickers", "cameras", "sessions"):
            lines.append(f'{field} = ["{getattr(one, field)[0]}"]')
    return "\n".join(lines)


async def _measure(
    servers: str, load: Load, settings: FusionSettings
) -> tuple[Log, list[Published]]:
    start = time.time() + LEAD_S
    log = generate(load, datetime.fromtimestamp(start, UTC))
    answers: list[Published] = []
    consumer = AIOKafkaConsumer(OUTPUT, bootstrap_servers=servers, auto_offset_reset="latest")
    await consumer.start()
    await consumer.seek_to_end()

    async def follow() -> None:
        async for record in consumer:
            at = record.timestamp / 1e3 - start
            answers.append((at, decode_fused(record.value)))

    following = asyncio.create_task(follow())
    try:
        await _send(servers, log, start)
        await asyncio.sleep(settings.wait_ms / 1e3 + 5.0)
    finally:
        following.cancel()
        await consumer.stop()
    return log, answers


async def _send(servers: str, log: Log, start: float) -> None:
    """Send each result at its time, and note when that was."""
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    try:
        for number, one in enumerate(log.deliveries):
            await asyncio.sleep(max(0.0, start + one.at - time.time()))
            out = encode_result(one.result, key=None)
            topic = RESULTS[one.result.modality]
            await producer.send(topic, out.value, key=out.key, headers=out.headers)
            log.deliveries[number] = replace(one, at=time.time() - start)
        await producer.flush()
    finally:
        await producer.stop()


def _times(log: Log, answers: list[Published]) -> list[str]:
    """Say how long whole answers took from their last part, and others beyond their wait."""
    came = arrivals(log)
    whole, over = [], []
    for at, answer in answers:
        incidents = {log.incident_of[part.result] for part in answer.parts.values()}
        if len(incidents) != 1 or answer.revision > 0:
            continue
        arrived = came[incidents.pop()]
        if answer.complete:
            whole.append(1e3 * (at - max(arrived.values())))
        elif answer.reason is Incomplete.WAIT_OVER:
            over.append(1e3 * (at - min(arrived.values())))
    lines = []
    for name, times in (("last part to answer", whole), ("first part to timed-out answer", over)):
        cells = ", ".join(f"p{q} {np.percentile(times, q):.0f} ms" for q in (50, 90, 99, 100))
        lines.append(f"{name}: {len(times):,}; {cells}")
    return lines
