"""Signatures as Standard Webhooks 1.0.0 has them, so that receivers can use its libraries.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: what is
signed is ``ID.TIMESTAMP.BODY``, by HMAC-SHA256; a secret is 24 to 64 bytes, in base64 behind
``whsec_``; the header holds a signature for each secret, so that one can be replaced without a gap.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from schemas.errors import ConfigurationError
from streams.security.credentials import read_secret_file
from streams.webhooks.settings import Webhook

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret."""


class Signer:
    """Signs requests with one or more secrets.

    Args:
        secrets: In bytes; the newest first.
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = tuple(secrets)

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def headers(self, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
        """Return the headers of one request; without secrets the first two.

        Args:
            message_id: The same whenever the same is sent again; without full stops, which stand
                between the parts of what is signed.
            timestamp_s: Of the request, in seconds since the epoch.
            body: As it is sent.
        """
        headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp_s)}
        if self._secrets:
            signed = f"{message_id}.{timestamp_s}.".encode() + body
            headers["webhook-signature"] = " ".join(
                f"v1,{_signature(secret, signed)}" for secret in self._secrets
            )
        return headers


def read_signer(webhook: Webhook) -> Signer:
    """Read the secrets of a webhook.

    Raises:
        ConfigurationError: The file cannot be read, or a line is no secret; repeats none.
    """
    if webhook.secret_file is None:
        return Signer(())
    field = f"webhooks.{webhook.name}.secret_file"
    lines = [line.strip() for line in read_secret_file(field, webhook.secret_file).splitlines()]
    where = f"{field}: {webhook.secret_file}"
    secrets = [
        _secret(where, number, line)
        for number, line in enumerate(lines, 1)
        if line and not line.startswith("#")
    ]
    if not secrets:
        raise ConfigurationError(f"{where} holds no secret; write one a line, beginning {PREFIX}")
    return Signer(secrets)


def _secret(where: str, number: int, line: str) -> bytes:
    remedy = 'write whsec_ and what `openssl rand -base64 32` prints, such as "whsec_…="'
    if not line.startswith(PREFIX):
        raise ConfigurationError(f"{where}: line {number} does not begin with {PREFIX}; {remedy}")
    try:
        secret = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{where}: line {number} is not base64; {remedy}") from None
    if not SHORTEST <= len(secret) <= LONGEST:
        raise ConfigurationError(
            f"{where}: line {number} is a secret of {len(secret)} bytes; it must have {SHORTEST} "
            f"to {LONGEST}: {remedy}"
        )
    return secret


def _signature(secret: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
