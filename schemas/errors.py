"""Every error that headrace raises on purpose.

    HeadraceError
    ├── ContractError             the input breaks a wire contract; the event becomes a dead letter
    │   ├── UndecodableError      the bytes are not what their content type says
    │   └── InvalidEventError     decoded, but a field is missing, mistyped or out of its limits
    │       └── OversizedError    larger, longer or deeper than is accepted
    ├── ConfigurationError        a setting, flag or file of the user's is wrong
    ├── EngineError               the model could not be loaded, or failed on a batch
    └── BrokerError               the broker cannot be reached, started or used as asked

A message names the field, the value and the remedy. ``retriable`` says whether the same call may
succeed later without anyone changing anything.
"""


class HeadraceError(Exception):
    """Base of all errors raised by headrace."""

    retriable = False


class ContractError(HeadraceError):
    """The input breaks a wire contract.

    Args:
        message: What is wrong, with the remedy.
        field: The offending field as a path (``tickers[3]``), or ``None`` for the whole record.
    """

    code = "contract"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.event_id: str | None = None
        """The event's id, where it could be read in spite of what is wrong."""


class UndecodableError(ContractError):
    """The bytes are not what their content type says they are."""

    code = "undecodable"


class InvalidEventError(ContractError):
    """The event decoded, but a field is missing, has the wrong type or exceeds a limit."""

    code = "invalid"


class OversizedError(InvalidEventError):
    """The record, or a field of it, is larger, longer or deeper than is accepted."""

    code = "oversized"


class ConfigurationError(HeadraceError):
    """A setting, flag or file given by the user cannot be used."""


class EngineError(HeadraceError):
    """The model could not be loaded, or failed while classifying."""


class BrokerError(HeadraceError):
    """The broker cannot be reached, started or used as asked."""

    retriable = True


_SHOWN_CHARS = 40
_SHOWN_BYTES = 24
_SHOWN_BITS = 64


def shown(value: object) -> str:
    """Write a value for a message: on one line, and short whatever it is."""
    if isinstance(value, str | bytes):
        most, unit = (
            (_SHOWN_CHARS, "characters") if isinstance(value, str) else (_SHOWN_BYTES, "bytes")
        )
        cut = value[:most]
        return repr(value) if cut == value else f"{cut!r}… ({len(value):,} {unit})"
    if isinstance(value, dict | list | tuple):
        what, unit = ("object", "fields") if isinstance(value, dict) else ("array", "items")
        return f"an {what} of {len(value):,} {unit}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return f"a number of {value.bit_length():,} bits"
    return repr(value)[:_SHOWN_CHARS]
