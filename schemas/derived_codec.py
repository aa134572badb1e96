"""How all that is derived from results travels: CloudEvents in binary mode, JSON inside."""

from datetime import datetime
from typing import TypeVar

import msgspec
import orjson

from schemas.errors import InvalidEventError, UndecodableError, shown
from schemas.payload import JSON
from schemas.records import Outbound

_Derived = TypeVar("_Derived", bound=msgspec.Struct)


def encode_derived(
    derived: msgspec.Struct, kind: str, *, name: str, source: str, subject: str, time: datetime
) -> Outbound:
    """Write what was derived, keyed by what it is about.

    Args:
        derived: The value.
        kind: Type of the CloudEvent.
        name: Its id; equal for repetitions alone.
        source: What derives such.
        subject: What it is about.
        time: Event time that it is as of.
    """
    attributes = {
        "ce_specversion": "1.0",
        "ce_type": kind,
        "ce_id": name,
        "ce_source": source,
        "ce_time": str(msgspec.to_builtins(time)),
        "ce_subject": subject,
        "content-type": JSON,
    }
    return Outbound(
        key=subject.encode(),
        value=orjson.dumps(msgspec.to_builtins(derived)),
        headers=[(name, text.encode()) for name, text in attributes.items()],
    )


def decode_derived(value: bytes, kind: type[_Derived], what: str) -> _Derived:
    """Read a value; fields that this version does not know are ignored.

    Raises:
        UndecodableError: The value is not JSON.
        InvalidEventError: A field is missing or has the wrong type.
    """
    try:
        return msgspec.convert(orjson.loads(value), kind)
    except orjson.JSONDecodeError as error:
        raise UndecodableError(
            f"value: {shown(value)} is not JSON: {error.msg}; read a topic of {what}s only",
            field="value",
        ) from None
    except msgspec.ValidationError as error:
        raise InvalidEventError(
            f"value: is no {what}: {error}; read a topic of {what}s only", field="value"
        ) from None
