"""What workers say of themselves at ``/metrics``."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from schemas.errors import ConfigurationError

PATIENCE_S = 2.0
MOST_BYTES = 16 * 1024 * 1024
_SUMS = {
    "headrace_ready": "ready",
    "headrace_assigned_partitions": "partitions",
    "headrace_paused_partitions": "paused",
    "headrace_in_flight_events": "in_flight",
    "headrace_queue_events": "queued",
    "headrace_worker_restarts_total": "restarts",
    "headrace_events_total": "events",
}
"""Samples that are summed over their labels, and what for."""


@dataclass(frozen=True, slots=True)
class Scraped:
    """One answer.

    Attributes:
        problem: Why there is none.
        sums: By the names that :class:`streams.top.snapshot.InstanceRow` has, and ``events``.
        verdicts: Results so far.
    """

    url: str
    problem: str | None = None
    sums: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)


def parse_urls(text: str) -> list[str]:
    """Read URLs that are separated by commas; ``/metrics`` is appended where there is no path.

    Raises:
        ConfigurationError: One is no http or https URL.
    """
    urls = []
    for part in (one.strip() for one in text.split(",") if one.strip()):
        url = part if "://" in part else f"http://{part}"
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(
                f"--metrics: {part!r} is not an http or https URL; give one such as "
                "http://localhost:9464/metrics"
            )
        urls.append(url.rstrip("/") + "/metrics" if parts.path in {"", "/"} else url)
    return urls


async def scrape(session: aiohttp.ClientSession, urls: Sequence[str]) -> list[Scraped]:
    """Ask all of them at once; one that does not answer has a problem, and the others do not."""
    return list(await asyncio.gather(*(_scrape(session, url) for url in urls)))


async def _scrape(session: aiohttp.ClientSession, url: str) -> Scraped:
    try:
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with session.get(url, timeout=timeout, allow_redirects=False) as response:
            if response.status != 200:  # noqa: PLR2004 - anything else is no metrics
                return Scraped(url, f"answers {response.status}")
            text = (await response.content.read(MOST_BYTES)).decode("utf-8", "replace")
        return read(url, text)
    except TimeoutError:
        return Scraped(url, f"no answer in {PATIENCE_S:g} s")
    except (aiohttp.ClientError, OSError) as error:
        return Scraped(url, str(error) or repr(error))
    except ValueError as error:
        return Scraped(url, f"answers no metrics: {error}")


def read(url: str, text: str) -> Scraped:
    """Read what is wanted of the Prometheus text format.

    Raises:
        ValueError: It is not that.
    """
    found = Scraped(url)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if name := _SUMS.get(sample.name):
                found.sums[name] += int(sample.value)
            elif sample.name == "headrace_results_total":
                found.verdicts[sample.labels.get("verdict", "")] += int(sample.value)
    if "ready" not in found.sums:
        return Scraped(url, "answers, but not as a worker of headrace does")
    return found
