"""The files of the page: read once, served with rules that let nothing else in."""

import gzip
import hashlib
from importlib.resources import files

from aiohttp import web

PREFIX = "/page/"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
"""Nothing is loaded from elsewhere, no script stands in the page itself, nobody frames it."""


def is_file(path: str) -> bool:
    """Say whether a path is one of the page's files; they hold no data, so anybody may."""
    return path == "/" or path.startswith(PREFIX)


class PageFiles:
    """Serves ``index.html`` at ``/`` and all others under ``/page/``; none holds any data.

    Attributes:
        packed: Each file as it is sent to browsers that take gzip, by name.
    """

    def __init__(self) -> None:
        self._files = {
            path.name: path.read_bytes()
            for path in files("streams.gateway.page").joinpath("static").iterdir()
            if path.name.rpartition(".")[2] in _TYPES
        }
        self.packed = {name: gzip.compress(body, mtime=0) for name, body in self._files.items()}

    def routes(self) -> list[web.RouteDef]:
        """Return where they are served."""
        return [web.get("/", self._index), web.get(PREFIX + "{name}", self._file)]

    async def _index(self, request: web.Request) -> web.Response:
        return self._answer(request, "index.html")

    async def _file(self, request: web.Request) -> web.Response:
        return self._answer(request, request.match_info["name"])

    def _answer(self, request: web.Request, name: str) -> web.Response:
        body = self._files.get(name)
        if body is None:
            raise web.HTTPNotFound
        tag = hashlib.sha256(body).hexdigest()[:32]
        # A weak tag, as what is sent may be packed or not.
        headers = HEADERS | {"ETag": f'W/"{tag}"'}
        if any(one.value == tag for one in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        kind = _TYPES[name.rpartition(".")[2]]
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            body, headers["Content-Encoding"] = self.packed[name], "gzip"
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)
