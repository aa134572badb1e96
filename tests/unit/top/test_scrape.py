"""What workers say at /metrics is read, and what is none of it is told."""

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from schemas.errors import ConfigurationError
from streams.top.scrape import parse_urls, read, scrape


def exposed() -> str:
    """Metrics as two topics of a worker have them."""
    registry = CollectorRegistry()
    events = Counter("headrace_events", "-", ["topic", "modality"], registry=registry)
    results = Counter("headrace_results", "-", ["topic", "verdict"], registry=registry)
    Gauge("headrace_ready", "-", registry=registry).set(2)
    for topic, count in (("events.news", 5), ("events.camera", 7)):
        events.labels(topic, "any").inc(count)
        results.labels(topic, "late").inc(count)
    results.labels("events.news", "on_time").inc(3)
    return generate_latest(registry).decode()


def test_samples_are_summed_over_topics() -> None:
    """Verdicts apart."""
    found = read("u", exposed())
    assert found.problem is None
    assert (found.sums["events"], found.sums["ready"]) == (12, 2)
    assert found.verdicts == {"late": 12, "on_time": 3}


def test_what_is_no_worker_is_told() -> None:
    """Such as a Prometheus of somebody else's."""
    assert "not as a worker" in (read("u", "up 1\n").problem or "")


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("", []),
        ("localhost:9464", ["http://localhost:9464/metrics"]),
        ("http://a:1/, https://b/own/path", ["http://a:1/metrics", "https://b/own/path"]),
    ],
)
def test_urls_may_be_short(text: str, urls: list[str]) -> None:
    """The usual path is appended."""
    assert parse_urls(text) == urls


def test_what_is_no_url_is_refused() -> None:
    """With what one looks like."""
    with pytest.raises(ConfigurationError, match="--metrics: 'ftp://x' is not"):
        parse_urls("ftp://x")


async def test_one_that_fails_does_not_hide_the_others() -> None:
    """Each is told by its address: refused, of another kind, or no metrics."""
    app = web.Application()

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=exposed())

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>hello</html>")

    app.add_routes([web.get("/metrics", metrics), web.get("/page", page)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here = f"http://127.0.0.1:{runner.addresses[0][1]}"
    urls = [f"{here}/metrics", f"{here}/page", f"{here}/nothing", "http://127.0.0.1:1/metrics"]
    async with aiohttp.ClientSession() as session:
        found = await scrape(session, urls)
    await runner.cleanup()
    assert [one.url for one in found] == urls
    assert found[0].problem is None
    assert [one.problem is not None for one in found[1:]] == [True] * 3
    assert found[2].problem == "answers 404"
