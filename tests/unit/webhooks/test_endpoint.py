"""One POST over real HTTP: bounded, followed nowhere, signed with the time of each request."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from schemas.errors import ConfigurationError
from streams.webhooks.endpoint import READ_BYTES, Endpoint
from streams.webhooks.message import Message
from streams.webhooks.retrying import Answer, Outcome
from streams.webhooks.settings import Webhook
from tests.fakes.receiver import Reply, receiving

MESSAGE = Message("n-1", {"content-type": "application/json", "ce-id": "n-1"}, b"{}")


async def post(url: str, **fields: Any) -> Answer:
    """Send a message once."""
    webhook = Webhook(name="desk", url=url, topics=("results.news",), **fields)
    async with Endpoint(webhook, wall=lambda: 1_700_000_000.9) as endpoint:
        return await endpoint.post(MESSAGE)


async def test_a_request_has_all_that_a_receiver_needs(tmp_path: Path) -> None:
    """The record's headers, who sends it, the token, and the signature's parts."""
    token = tmp_path / "token"
    token.write_text("sesame\n")
    secret = tmp_path / "secret"
    secret.write_text("whsec_" + "c8cc" * 10)
    async with receiving() as receiver:
        fields = {"token_file": str(token), "secret_file": str(secret)}
        assert (await post(receiver.url, **fields)).outcome is Outcome.DELIVERED
        (came,) = receiver.requests
    assert came.body == b"{}"
    assert came.headers["ce-id"] == "n-1"
    assert came.headers["authorization"] == "Bearer sesame"
    assert came.headers["webhook-timestamp"] == "1700000000"
    assert came.headers["webhook-signature"].startswith("v1,")
    assert came.headers["user-agent"] == "headrace"


async def test_a_redirection_is_not_followed() -> None:
    """It could lead anywhere; it counts as a failure that somebody may mend."""
    async with receiving() as receiver, receiving() as elsewhere:
        receiver.replies.append(Reply(307, {"Location": elsewhere.url}))
        answer = await post(receiver.url)
        assert (answer.status, answer.outcome) == (307, Outcome.FAILED)
        assert elsewhere.requests == []


async def test_no_more_of_an_answer_is_read_than_is_told() -> None:
    """An endpoint that never stops talking is heard out for 4 kB."""
    sent = 0

    async def talk(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(status=400)
        await response.prepare(request)
        while True:
            await response.write(b"no \n" * 1024)
            sent += 4_096

    app = web.Application()
    app.router.add_post("/", talk)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with asyncio.timeout(10):
            answer = await post(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    finally:
        await runner.cleanup()
    assert answer.outcome is Outcome.REFUSED
    assert answer.told.startswith("400 Bad Request: no no")
    assert len(answer.told) <= 200
    assert sent >= READ_BYTES


async def test_what_an_endpoint_says_does_nothing_to_the_terminal_that_shows_it() -> None:
    """It stands in logs, dead letters and the output of --test."""
    async with receiving() as receiver:
        receiver.replies.append(Reply(500, body="gone\x1b]0;owned\x07\r\n\x00caf\u00e9".encode()))
        assert (await post(receiver.url)).told.endswith(
            ": gone\ufffd]0;owned\ufffd \ufffdcaf\u00e9"
        )


async def test_silence_and_a_closed_door_are_no_answer() -> None:
    """Within the time that is allowed."""
    async with receiving() as receiver:
        receiver.replies.append(Reply(204, after_s=5.0))
        answer = await post(receiver.url, timeout_ms=50)
        assert answer == Answer(None, "no answer in 50 ms")
        url = receiver.url
    answer = await post(url)
    assert answer.outcome is Outcome.FAILED
    assert answer.status is None
    assert answer.told.startswith("no answer: ")


async def test_what_is_no_http_is_no_answer() -> None:
    """Whatever it is; what is told of it has one line, and not the path, which may be a secret."""

    async def mumble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(mumble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await post(f"http://127.0.0.1:{port}/hooks/sesame")
    assert answer.status is None
    assert answer.told.startswith("no answer: Bad status line")
    assert answer.told.isprintable()
    assert "sesame" not in answer.told


async def test_rest_is_read_from_the_answer() -> None:
    """Of whatever status it stands in."""
    async with receiving() as receiver:
        receiver.replies.append(Reply(503, {"Retry-After": "17"}))
        assert (await post(receiver.url)).retry_after_s == 17.0


async def test_a_certificate_of_nobody_known_is_not_accepted(tmp_path: Path) -> None:
    """There is no switch against it; ``ca_file`` says whom to trust besides."""
    certificate, key = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    app = web.Application()

    async def take(_: web.Request) -> web.Response:
        return web.Response(status=204)

    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
        stranger = await post(url)
        assert stranger.status is None
        assert "certificate" in stranger.told.lower()
        assert (await post(url, ca_file=str(certificate))).outcome is Outcome.DELIVERED
    finally:
        await runner.cleanup()


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """By webhook and field; a token's text is not repeated."""
    wrong = tmp_path / "wrong"
    wrong.write_text("open sesame\nopen")
    for field in ("token_file", "ca_file"):
        webhook = Webhook(
            name="desk", url="https://a.example", topics=("results.news",), **{field: str(wrong)}
        )
        with pytest.raises(ConfigurationError, match=rf"webhooks\.desk\.{field}: ") as refused:
            Endpoint(webhook)
        assert "sesame" not in str(refused.value)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of this machine's address that signs itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl in PATH to make a certificate with")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=desk", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, *request, *names, *files], check=True, capture_output=True)
    return certificate, key
