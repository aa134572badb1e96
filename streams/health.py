"""``/metrics``, ``/healthz`` and ``/readyz`` of a worker."""

from collections.abc import Callable

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from streams.listening import listen


class Health:
    """What stands between the worker and being ready, and what is wrong with it."""

    def __init__(self, *conditions: str) -> None:
        """Start with every condition unmet."""
        self._unmet: dict[str, str | None] = dict.fromkeys(conditions)
        self.problem: str | None = None
        """Why the process should be replaced; ``None`` while it is well."""

    def met(self, condition: str) -> None:
        """Note that a condition of readiness holds now."""
        self._unmet.pop(condition, None)

    def unmet(self, condition: str, reason: str | None = None) -> None:
        """Note that a condition of readiness no longer holds, and why, if that is known."""
        self._unmet[condition] = reason

    @property
    def waiting_for(self) -> list[str]:
        """The conditions that do not hold."""
        return sorted(self._unmet)

    @property
    def reasons(self) -> dict[str, str]:
        """Why conditions do not hold, of those for which it is known."""
        return {name: why for name, why in self._unmet.items() if why is not None}

    @property
    def ready(self) -> bool:
        """Whether events are being classified, or would be."""
        return not self._unmet and self.problem is None


def application(health: Health, registry: Callable[[], CollectorRegistry]) -> web.Application:
    """Build the endpoints over a health and a way to collect metrics."""

    async def metrics(_: web.Request) -> web.Response:
        body = generate_latest(registry())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        return _answer(ok=health.problem is None, problem=health.problem)

    async def readyz(_: web.Request) -> web.Response:
        told: dict[str, object] = {"problem": health.problem, "waiting_for": health.waiting_for}
        if reasons := health.reasons:
            told["reasons"] = reasons
        return _answer(ok=health.ready, **told)

    app = web.Application()
    app.add_routes(
        [
            web.get("/metrics", metrics),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
        ]
    )
    return app


async def serve(
    health: Health,
    *,
    host: str,
    port: int,
    registry: Callable[[], CollectorRegistry] = lambda: REGISTRY,
) -> tuple[web.AppRunner, int]:
    """Listen; return what to clean up and the port that was taken.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    runner = web.AppRunner(application(health, registry), access_log=None)
    return runner, await listen(runner, host, port, setting="metrics_port")


def _answer(*, ok: bool, **details: object) -> web.Response:
    body = orjson.dumps({"ok": ok, **details})
    return web.Response(body=body, status=200 if ok else 503, content_type="application/json")
