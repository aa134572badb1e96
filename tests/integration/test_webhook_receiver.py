"""The example receiver takes what is signed, once, and nothing else."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.kafka import Record, encode_result
from streams.webhooks.endpoint import Endpoint
from streams.webhooks.message import message_of
from streams.webhooks.picking import Picker
from streams.webhooks.settings import Webhook
from tests.fakes.results import MOMENT, result
from tests.integration.command import headrace

ROOT = Path(__file__).parents[2]
SECRET, OTHER = "whsec_" + "c8cc" * 10, "whsec_" + "abcd" * 10


@asynccontextmanager
async def example(secret: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Start the example on a free port; yield it and its URL."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "examples/webhook_receiver.py")),
        *("--secret-file", str(secret), "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stderr
        line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        found = re.search(r"listens on (\d+)", line)
        assert found, line
        yield process, f"http://127.0.0.1:{found[1]}/"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_it_acts_on_what_is_signed_and_only_once(tmp_path: Path) -> None:
    """A repetition is accepted and changes nothing; a stranger and an old copy are not."""
    secret, other = tmp_path / "secret", tmp_path / "other"
    secret.write_text(SECRET + "\n")
    other.write_text(OTHER)
    sent = encode_result(result(), key=b"k")
    record = Record(topic="results.news", value=sent.value, headers=sent.headers)
    async with example(secret) as (process, url):

        async def post(file: Path, **clock: object) -> int | None:
            webhook = Webhook(name="desk", url=url, topics=("results.news",), secret_file=str(file))
            message = message_of(Picker(webhook).read(record), webhook, MOMENT)
            async with Endpoint(webhook, **clock) as endpoint:  # type: ignore[arg-type]
                return (await endpoint.post(message)).status

        assert await post(other) == 401
        assert await post(secret, wall=lambda: 1_600_000_000.0) == 401
        assert [await post(secret), await post(secret)] == [204, 204]
        assert process.stdout
        line = await asyncio.wait_for(process.stdout.readline(), 10)
        assert line == b"headrace.result.v1 n-1 positive\n"
        process.terminate()
        assert await process.stdout.read() == b""


async def test_the_command_tries_a_webhook_out(tmp_path: Path) -> None:
    """It needs no broker, and tells what was sent and answered."""
    secret, config = tmp_path / "secret", tmp_path / "headrace.toml"
    secret.write_text(SECRET)
    async with example(secret) as (process, url):
        table = '[[webhooks]]\nname = "desk"\ntopics = ["results.news"]\n'
        config.write_text(f'{table}url = "{url}"\nsecret_file = "{secret}"\n')
        done = await headrace("webhooks", "--config", str(config), "--test", "desk")
        assert done.status == 0, done.stderr
        assert "POST to desk (cloudevents, signed)" in done.stdout
        assert "ce-type: headrace.result.v1" in done.stdout
        assert "204 No Content" in done.stdout
        assert process.stdout
        assert b"headrace-test positive" in await process.stdout.readline()
