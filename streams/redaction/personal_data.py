"""Finds personal data in text by their form and, where they have one, by their check digit."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence

from schemas.errors import ConfigurationError
from streams.redaction.settings import Kind

Span = tuple[int, int]
Find = Callable[[str], Iterator[Span]]

MOST_PASSES = 4
_EMAIL = re.compile(
    r"(?<![\w.!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]++@(?:[\w-]{1,63}\.){1,10}[\w-]{2,63}"
)
_SEPARATED = re.compile(r"\d+(?:[ \t\u00a0\u2009.\-\u2013]{1,3}\d+)*")
_DIGITS = re.compile(r"\d+")
_IBAN_BEGIN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}")
_IP = re.compile(
    r"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.\d)"
    r"|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?![\w:]))"
)
_CARD_DIGITS = range(13, 20)
_CARD_BEGINS = frozenset("23456")
_IBAN_CHARS = range(15, 35)


class PersonalData:
    """Masks personal data of some kinds.

    Args:
        kinds: Which.
        phone_region: Whose national phone numbers are recognised; ``None`` for none.

    Raises:
        ConfigurationError: The libraries are not installed, or there is no such region.
    """

    def __init__(self, kinds: Sequence[Kind], phone_region: str | None = None) -> None:
        finders: dict[Kind, Callable[[], Find]] = {
            Kind.EMAIL: lambda: _emails,
            Kind.IBAN: _iban_finder,
            Kind.CARD_NUMBER: _card_finder,
            Kind.IP_ADDRESS: lambda: _ip_addresses,
            Kind.PHONE: lambda: _phone_finder(phone_region),
        }
        try:
            # Phones last: anything long enough in digits may look like one.
            self._finders = [(k, make()) for k, make in finders.items() if k in kinds]
        except ImportError as error:
            raise ConfigurationError(
                f"redaction.personal_data: needs {error.name}; install it with "
                "`pip install 'headrace[redaction]'`"
            ) from error

    def found(self, text: str) -> bool:
        """Say whether there is any in a text."""
        return any(next(find(text), None) is not None for _, find in self._finders)

    def masked(self, text: str) -> str:
        """Return a text in which each finding is replaced by its kind in brackets."""
        for _ in range(MOST_PASSES):
            before = text
            for kind, find in self._finders:
                text = _replaced(text, list(find(text)), f"[{kind}]")
            if text == before:
                return text
        # What is left each time forms new findings: nothing of it can be told apart.
        return re.sub(r"[\d@]", "#", text) if self.found(text) else text


def _replaced(text: str, spans: list[Span], mask: str) -> str:
    for start, end in reversed(spans):
        text = text[:start] + mask + text[end:]
    return text


def _emails(text: str) -> Iterator[Span]:
    if "@" in text:
        yield from (found.span() for found in _EMAIL.finditer(text))


def _ip_addresses(text: str) -> Iterator[Span]:
    for found in _IP.finditer(text):
        try:
            ipaddress.ip_address(found[0])
        except ValueError:
            continue
        yield found.span()


def _card_finder() -> Find:
    from stdnum import luhn  # noqa: PLC0415 - of an extra

    def find(text: str) -> Iterator[Span]:
        for run in _SEPARATED.finditer(text):
            groups = [
                (run.start() + one.start(), run.start() + one.end(), _ascii(one[0]))
                for one in _DIGITS.finditer(run[0])
            ]
            end = 0
            for number, (start, _, _) in enumerate(groups):
                if start >= end and (stop := _card_end(groups[number:], luhn.is_valid)):
                    end = stop
                    yield start, end

    return find


def _card_end(groups: list[tuple[int, int, str]], is_valid: Callable[[str], bool]) -> int | None:
    """Return where a card number ends that begins with the first group of digits."""
    digits, longest = "", None
    for _, end, more in groups:
        digits += more
        if len(digits) >= _CARD_DIGITS.stop:
            break
        if len(digits) in _CARD_DIGITS and digits[0] in _CARD_BEGINS and is_valid(digits):
            longest = end
    return longest


def _iban_finder() -> Find:
    from stdnum import iban  # noqa: PLC0415 - of an extra

    def find(text: str) -> Iterator[Span]:
        after = 0
        for begin in _IBAN_BEGIN.finditer(text):
            if begin.start() < after:
                continue
            characters = ""
            for place in range(begin.start(), min(len(text), begin.start() + 3 * _IBAN_CHARS.stop)):
                character = text[place]
                if character in " \t\u00a0-.":
                    continue
                if not (character.isascii() and character.isalnum()):
                    break
                characters += character
                if len(characters) >= _IBAN_CHARS.stop:
                    break
                if len(characters) in _IBAN_CHARS and iban.is_valid(characters.upper()):
                    after = place + 1
                    yield begin.start(), after
                    break

    return find


def _phone_finder(region: str | None) -> Find:
    from phonenumbers import SUPPORTED_REGIONS, Leniency, PhoneNumberMatcher  # noqa: PLC0415

    if region is not None and region not in SUPPORTED_REGIONS:
        raise ConfigurationError(
            f"redaction.phone_region: {region!r} is no country with phone numbers; give its two "
            "letters of ISO 3166, such as DE"
        )

    def find(text: str) -> Iterator[Span]:
        for found in PhoneNumberMatcher(text, region, leniency=Leniency.VALID):
            yield found.start, found.end

    return find


def _ascii(digits: str) -> str:
    """Write digits of any script in ours."""
    return digits if digits.isascii() else "".join(str(int(one)) for one in digits)
