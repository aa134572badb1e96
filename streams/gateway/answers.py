"""Answers of the gateway that are no streams."""

from collections.abc import Mapping

import orjson
from aiohttp import web

from streams import metrics

RETRY_AFTER_S = 1
"""When somebody whom there is no room for now may come again."""


def refusal(
    status: int,
    reason: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> web.Response:
    """Say why a request is not served, and count it under a reason."""
    metrics.GATEWAY_REFUSED.labels(reason).inc()
    return json_answer({"error": message, **more}, status=status, headers=headers)


def come_again(status: int, reason: str, message: str, **more: object) -> web.Response:
    """Refuse what may be served later."""
    return refusal(status, reason, message, {"Retry-After": str(RETRY_AFTER_S)}, **more)


def json_answer(
    document: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with JSON that nobody keeps."""
    return web.Response(
        body=orjson.dumps(document),
        status=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        content_type="application/json",
    )
