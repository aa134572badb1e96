"""Why a broker does not let a client in, in an operator's words.

aiokafka logs the cause of a failed bootstrap and raises an error that tells nothing of it. So the
connection is tried once more here, by itself.
"""

import asyncio
import ssl
from collections.abc import Iterator

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from schemas.errors import BrokerError, ConfigurationError, HeadraceError
from streams.connection import Connection
from streams.security import Mechanism, Protocol, Security
from streams.security.credentials import VARIABLES
from streams.security.tokens import TokenError

PROBE_MS = 5_000
"""How long a broker may take to say why."""
_OTHER_NAME = {62, 64}
"""OpenSSL's numbers for a certificate of another host, or another address."""
_ENDS_OF_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""The other side ended the connection, and said nothing about TLS."""


async def refusal(connection: Connection) -> HeadraceError | None:
    """Return why no broker lets the client in, where it is for its settings.

    ``None``: one does, or none can be reached at all. Where a connection is closed without a word
    that may be for the settings, but also for a broker that stops or a proxy whose broker is away:
    such an error says so, and is retriable.
    """
    options = connection.client_options()
    del options["bootstrap_servers"]
    closed: HeadraceError | None = None
    for host, port, _ in collect_hosts(connection.bootstrap_servers):
        try:
            opened = await create_conn(host, port, request_timeout_ms=PROBE_MS, **options)
            try:
                metadata = await opened.send(MetadataRequest([]))
            finally:
                opened.close()
        except (KafkaError, OSError, TimeoutError, ValueError) as error:
            if why := _why(error, connection.security, f"{host}:{port}"):
                return ConfigurationError(why)
            if _is_closed(error):
                closed = BrokerError(_closed(connection.security, f"{host}:{port}"))
        else:
            # Refused tokens are told by a challenge, which aiokafka 0.14 takes for a welcome.
            refused = connection.security.mechanism is Mechanism.OAUTHBEARER
            if metadata.brokers or not refused:
                return None
            return ConfigurationError(_login(connection.security, f"the broker at {host}:{port}"))
    return closed


def _why(error: BaseException, security: Security, address: str) -> str | None:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _ENDS_OF_TLS):
            return _tls(cause, security, address)
        if found := _sasl(cause, security, address):
            return found
    return None


def _is_closed(error: BaseException) -> bool:
    ends = (KafkaConnectionError, ConnectionError, asyncio.IncompleteReadError, *_ENDS_OF_TLS)
    return isinstance(error, ends) and not isinstance(error, ConnectionRefusedError)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _sasl(cause: BaseException, security: Security, address: str) -> str | None:
    broker, mechanism = f"the broker at {address}", security.mechanism
    match cause:
        case TokenError():
            return str(cause.args[0])  # without the class's name, which aiokafka puts before it
        case SaslAuthenticationFailed():
            return _login(security, broker)
        case UnsupportedSaslMechanismError():
            return f"security.mechanism: {broker} does not offer {mechanism}; choose another"
        case IllegalSaslStateError():
            without = security.protocol.removeprefix("sasl_")
            return f"security.protocol: {broker} expects no login here; it should be {without}"
        case ValueError():  # its half of SCRAM
            return (
                f"security.mechanism: {broker} does not prove that it knows the password "
                f"({cause}); is it the right one?"
            )
    return None


def _login(security: Security, broker: str) -> str:
    if security.mechanism is Mechanism.OAUTHBEARER:
        field = "token_endpoint" if security.token_endpoint else "token_file"
        return f"security.{field}: {broker} refuses the token; it may be over, or made for others"
    return (
        f"security.username: {broker} refuses user {security.username!r} with this password "
        f"({security.mechanism}); check the name, and what security.password_file or "
        f"{VARIABLES['password']} holds"
    )


def _tls(error: ssl.SSLError, security: Security, address: str) -> str:
    reason = (error.reason or str(error)).upper()
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OTHER_NAME:
            return (
                f"bootstrap_servers: the certificate of {address} is for another name "
                f"({error.verify_message}); use the name that it was made for"
            )
        return (
            f"security.ca_file: the certificate of {address} is not trusted "
            f"({error.verify_message}); name the file with the certificate of whoever signed it"
        )
    told = reason.replace("_", " ").lower()
    if "ALERT" in reason and "CERTIFICATE" in reason and security.certificate_file is None:
        return (
            f"security.certificate_file: the broker at {address} asks for a certificate of the "
            f"client's ({told}); set it, and security.key_file"
        )
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return (
            f"security.certificate_file: the broker at {address} does not accept "
            f"{security.certificate_file} ({told}); use one that is not over and is signed by "
            "somebody whom the broker trusts"
        )
    return (
        f"security.protocol: no TLS connection with {address} ({told}); is its listener "
        f"{security.protocol}, or rather {_without_tls(security.protocol)}?"
    )


def _closed(security: Security, address: str) -> str:
    return (
        f"security.protocol: {address} closes the connection, which is {security.protocol}; is the "
        "broker stopping, or away behind a proxy? Or is its listener of another protocol? Choose "
        "among " + ", ".join(Protocol)
    )


def _without_tls(protocol: Protocol) -> Protocol:
    return Protocol(protocol.replace("ssl", "plaintext"))
