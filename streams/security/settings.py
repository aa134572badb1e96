"""How clients prove themselves to the brokers, and brokers to them: TLS and SASL."""

import ssl
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from aiokafka.helpers import create_ssl_context

from schemas.errors import ConfigurationError
from streams.security.credentials import VARIABLES, secret
from streams.security.tokens import EndpointTokens, FileTokens

Text = Annotated[str, msgspec.Meta(min_length=1)]


class Protocol(StrEnum):
    """What is spoken with the brokers."""

    PLAINTEXT = "plaintext"
    SSL = "ssl"
    SASL_PLAINTEXT = "sasl_plaintext"
    SASL_SSL = "sasl_ssl"

    @classmethod
    def _missing_(cls, value: object) -> "Protocol | None":
        """Take Kafka's own spelling, in capitals, too."""
        found = str(value).lower()
        return cls(found) if found in set(cls) and found != value else None

    @property
    def encrypts(self) -> bool:
        """Whether the connection is TLS."""
        return self in {Protocol.SSL, Protocol.SASL_SSL}

    @property
    def logs_in(self) -> bool:
        """Whether the client says who it is by SASL."""
        return self in {Protocol.SASL_PLAINTEXT, Protocol.SASL_SSL}


class Mechanism(StrEnum):
    """How a client logs in."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"
    OAUTHBEARER = "OAUTHBEARER"


class Security(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach brokers that ask who is there. Holds names of files, never a secret."""

    protocol: Protocol = Protocol.PLAINTEXT
    """``plaintext``, ``ssl``, ``sasl_plaintext`` or ``sasl_ssl``."""
    ca_file: Text | None = None
    """Certificates, in PEM, of those who may sign the brokers'; unset for the system's."""
    certificate_file: Text | None = None
    """The client's own certificate with its chain, in PEM, where brokers ask for one."""
    key_file: Text | None = None
    """Its private key, in PEM; unset if the certificate's file holds it."""
    key_password_file: Text | None = None
    """Holds the key's password, if it has one."""
    mechanism: Mechanism | None = None
    """``PLAIN``, ``SCRAM-SHA-256``, ``SCRAM-SHA-512`` or ``OAUTHBEARER``."""
    username: Text | None = None
    """Of PLAIN and SCRAM."""
    password_file: Text | None = None
    """Holds the user's password."""
    token_file: Text | None = None
    """Holds the token of OAUTHBEARER; read anew for every connection."""
    token_endpoint: Text | None = None
    """URL that hands out such tokens for client credentials, in place of a file."""
    token_ca_file: Text | None = None
    """Certificates of those who may sign the endpoint's; unset for the system's."""
    client_id: Text | None = None
    """Who asks the endpoint."""
    client_secret_file: Text | None = None
    """Holds its secret."""
    scope: Text | None = None
    """What is asked of the endpoint, words separated by blanks."""

    def check(self) -> None:
        """Raise a ``ConfigurationError`` if the settings do not fit each other."""
        encrypted = ("ca_file", "certificate_file", "key_file", "key_password_file")
        if not self.protocol.encrypts:
            self._refuse(
                encrypted,
                f"the protocol is {self.protocol}, without TLS; set "
                f"security.protocol to {'sasl_ssl' if self.protocol.logs_in else 'ssl'}",
            )
        if self.key_file and not self.certificate_file:
            raise ConfigurationError(
                "security.key_file: there is no certificate to it; set security.certificate_file"
            )
        login = ("username", "password_file")
        tokens = ("token_file", "token_endpoint")
        endpoint = ("token_ca_file", "client_id", "client_secret_file", "scope")
        if not self.protocol.logs_in:
            self._refuse(
                ("mechanism", *login, *tokens, *endpoint),
                f"the protocol is {self.protocol}, without a login; set security.protocol to "
                f"{'sasl_ssl' if self.protocol.encrypts else 'sasl_ssl or sasl_plaintext'}",
            )
            return
        if self.mechanism is None:
            raise ConfigurationError(
                f"security.mechanism: is not set, and {self.protocol} needs one; choose "
                + ", ".join(Mechanism)
            )
        if self.mechanism is not Mechanism.OAUTHBEARER:
            self._refuse((*tokens, *endpoint), f"is not used by {self.mechanism}; leave it out")
            self._require("username", f"{self.mechanism} needs one")
            return
        self._refuse(login, "is not used by OAUTHBEARER; leave it out")
        if (self.token_file is None) == (self.token_endpoint is None):
            raise ConfigurationError(
                "security.token_file, security.token_endpoint: OAUTHBEARER needs one of the two"
            )
        if self.token_file is not None:
            self._refuse(endpoint, "belongs to security.token_endpoint, which is not set")
            return
        self._require("client_id", "security.token_endpoint needs one")
        _check_endpoint(self.token_endpoint or "")

    def variables(self) -> dict[str, str]:
        """Return the settings as environment variables, empty where they are unset."""
        return {
            f"HEADRACE_SECURITY__{name.upper()}": str(getattr(self, name) or "")
            for name in self.__struct_fields__
        }

    def client_options(self, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return what every aiokafka client takes; holds secrets, so never log it.

        Raises:
            ConfigurationError: The settings do not fit each other, or a file cannot be used.
        """
        self.check()
        options: dict[str, Any] = {}
        if self.protocol is not Protocol.PLAINTEXT:
            options["security_protocol"] = self.protocol.upper()
        if self.protocol.encrypts:
            options["ssl_context"] = self._tls(environment)
        if self.mechanism is not None:
            options["sasl_mechanism"] = self.mechanism.value
            options |= self._login(environment)
        return options

    def _tls(self, environment: Mapping[str, str] | None) -> ssl.SSLContext:
        _trust("security.ca_file", self.ca_file)
        # Given even where there is none: OpenSSL would ask for it on the terminal.
        password = secret("key_password", self.key_password_file, environment) or ""
        try:
            context: ssl.SSLContext = create_ssl_context(
                cafile=self.ca_file,
                certfile=self.certificate_file,
                keyfile=self.key_file,
                password=password,
            )
        except (OSError, ValueError) as error:
            key = self.key_file or self.certificate_file
            raise ConfigurationError(
                f"security.certificate_file: {self.certificate_file} with the key of {key} cannot "
                f"be used: {_reason(error)}; both must be PEM, the key must be the certificate's, "
                "and its password, if it has one, that of security.key_password_file or "
                f"{VARIABLES['key_password']}"
            ) from None
        return context

    def _login(self, environment: Mapping[str, str] | None) -> dict[str, Any]:
        if self.token_file is not None:
            tokens = FileTokens(self.token_file)
            tokens.read()
            return {"sasl_oauth_token_provider": tokens}
        if self.token_endpoint is not None:
            return {
                "sasl_oauth_token_provider": EndpointTokens(
                    self.token_endpoint,
                    client_id=self.client_id or "",
                    client_secret=self._needed(
                        "client_secret", self.client_secret_file, environment
                    ),
                    scope=self.scope,
                    tls=_trust("security.token_ca_file", self.token_ca_file),
                )
            }
        return {
            "sasl_plain_username": self.username,
            "sasl_plain_password": self._needed("password", self.password_file, environment),
        }

    def _needed(self, name: str, file: str | None, environment: Mapping[str, str] | None) -> str:
        found = secret(name, file, environment)
        if found is None:
            raise ConfigurationError(
                f"security.{name}_file: is not set, and {self.mechanism} needs it; name a file "
                f"that holds the secret, or set {VARIABLES[name]}"
            )
        return found

    def _refuse(self, names: tuple[str, ...], why: str) -> None:
        for name in names:
            if getattr(self, name) is not None:
                raise ConfigurationError(f"security.{name}: {why}")

    def _require(self, name: str, why: str) -> None:
        if getattr(self, name) is None:
            raise ConfigurationError(f"security.{name}: is not set, and {why}")


def _trust(field: str, file: str | None) -> ssl.SSLContext:
    """Return a context that trusts what a file names, or what the system does."""
    try:
        context: ssl.SSLContext = create_ssl_context(cafile=file)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{field}: {file} cannot be used: {_reason(error)}; name a file with certificates "
            "in PEM"
        ) from error
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "not in PEM").replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _check_endpoint(url: str) -> None:
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ConfigurationError(
            "security.token_endpoint: holds a name or password; set security.client_id and "
            "security.client_secret_file"
        )
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if not parts.hostname or parts.scheme not in ({"https", "http"} if local else {"https"}):
        raise ConfigurationError(
            f"security.token_endpoint: {url!r} is not an https URL; the client's secret travels "
            "there, so plain http is for this machine alone"
        )
