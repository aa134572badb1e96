"""Who may speak with the brokers: TLS, logins, secrets, and what clients are allowed."""

from streams.security.settings import Mechanism, Protocol, Security

__all__ = ["Mechanism", "Protocol", "Security"]
