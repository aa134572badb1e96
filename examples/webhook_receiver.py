"""Receive what `headrace webhooks` posts: check the signature, drop repetitions, then act.

python examples/webhook_receiver.py --secret-file secret --port 8099
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

TOLERANCE_S = 300
"""A request that was signed longer ago is somebody's copy."""
REMEMBERED = 100_000
LARGEST_BYTES = 16 * 1024 * 1024


def is_signed(headers: Mapping[str, str], body: bytes, secret: str, now_s: float) -> bool:
    """Say whether a request comes from who has the secret, and is not an old one sent again."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    sent = headers.get("webhook-timestamp", "")
    if not sent.isdigit() or abs(now_s - int(sent)) > TOLERANCE_S:
        return False
    signed = f"{headers.get('webhook-id', '')}.{sent}.".encode() + body
    right = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    given = headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(right, one) for one in given)


class Seen:
    """The ids of the newest records, since each may come more than once."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def __contains__(self, name: str) -> bool:
        with self._lock:
            return name in self._ids

    def add(self, name: str) -> None:
        """Remember an id, and forget the oldest."""
        with self._lock:
            self._ids[name] = None
            if len(self._ids) > REMEMBERED:
                self._ids.popitem(last=False)


class Receiver(BaseHTTPRequestHandler):
    """Answers one request; `secret` and `seen` are set by :func:`main`."""

    protocol_version = "HTTP/1.1"
    secret: str
    seen = Seen()

    def do_POST(self) -> None:
        """Check, act, answer: 2xx only once it is done with, for then it never comes again."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST_BYTES:
            self._answer(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body has no length, or is too large"
            )
            return
        body = self.rfile.read(int(length))
        if not is_signed(self.headers, body, self.secret, time.time()):
            self._answer(HTTPStatus.UNAUTHORIZED, "the signature does not fit")
            return
        name = self.headers["webhook-id"]
        if name not in self.seen:
            act_on(self.headers, json.loads(body))
            self.seen.add(name)  # only now: had acting failed, it must come again
        self._answer(HTTPStatus.NO_CONTENT)

    def _answer(self, status: HTTPStatus, told: str = "") -> None:
        self.send_response(status)
        # What was not read of a body would be taken for the next request.
        self.close_connection = status is not HTTPStatus.NO_CONTENT
        if told:
            self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        if told:
            self.wfile.write(told.encode())

    def log_message(self, *_: object) -> None:
        """Leave standard error to what is wrong."""


def act_on(headers: Mapping[str, str], value: dict[str, object]) -> None:
    """Print what came; your own part goes here."""
    label = value.get("label") or value.get("direction") or value.get("state")
    print(f"{headers.get('ce-type')} {headers.get('ce-subject')} {label}")
    sys.stdout.flush()


def main() -> int:
    """Serve until Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(description="Receive webhooks and print what they bring.")
    parser.add_argument("--secret-file", type=Path, required=True, help="holds whsec_… in one line")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8099)
    arguments = parser.parse_args()
    Receiver.secret = arguments.secret_file.read_text().strip()
    with ThreadingHTTPServer((arguments.host, arguments.port), Receiver) as server:
        print(f"receiver: listens on {server.server_address[1]}", file=sys.stderr, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
