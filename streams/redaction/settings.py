"""What is taken out of what is published."""

from enum import StrEnum
from typing import Annotated

import msgspec

from schemas.events import Modality


class Kind(StrEnum):
    """A kind of personal data."""

    EMAIL = "email"
    PHONE = "phone"
    CARD_NUMBER = "card_number"
    IBAN = "iban"
    IP_ADDRESS = "ip_address"
    ALL = "all"
    """All of these."""


class Redaction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is masked in results and dead letters before they are published."""

    fields: tuple[str, ...] = ()
    """Names of fields, at any depth of the event, and of headers; ``id`` is the event's."""
    personal_data: tuple[Kind, ...] = ()
    """Kinds that are looked for in every text and number: ``email``, ``phone``, ``card_number``,
    ``iban``, ``ip_address``, or ``all``."""
    modalities: tuple[Modality, ...] = (Modality.TRANSCRIPT,)
    """Whose events; images cannot be looked into, so letters of ``camera`` go without."""
    phone_region: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] | None = None
    """Country whose phone numbers may come without a plus sign and country code, such as ``DE``."""
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=8 * 1024 * 1024)] = 16 * 1024
    """A letter's larger value is withheld: to look through it would hold all other events up."""

    @property
    def enabled(self) -> bool:
        """Whether anything is to be masked."""
        return bool(self.fields or self.personal_data)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of personal data one by one."""
        every = tuple(kind for kind in Kind if kind is not Kind.ALL)
        chosen = every if Kind.ALL in self.personal_data else self.personal_data
        return tuple(kind for kind in every if kind in chosen)
