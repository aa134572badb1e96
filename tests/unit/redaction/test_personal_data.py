"""Personal data is found by its form and its check digit, and what only looks like it stays."""

import pytest

from schemas.errors import ConfigurationError
from streams.redaction.personal_data import PersonalData
from streams.redaction.settings import Kind, Redaction
from streams.settings import load_settings

EVERY = Redaction(personal_data=(Kind.ALL,)).kinds
ARABIC = {ord("0") + digit: 0x660 + digit for digit in range(10)}
ALL = PersonalData(EVERY, "DE")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mail a.b+c@mail.example.com, please", "mail [email], please"),
        ("(Ünal.Öz@bücher.example)", "([email])"),
        ("card 4111 1111 1111 1111 ok", "card [card_number] ok"),
        ("on 2026-01-02 4111-1111-1111-1111", "on 2026-01-02 [card_number]"),
        ("5555555555554444", "[card_number]"),
        ("4111 1111 1111 1111".translate(ARABIC), "[card_number]"),
        ("to DE89 3704 0044 0532 0130 00 NOW", "to [iban] NOW"),
        ("gb82west12345698765432", "[iban]"),
        ("call 030 1234567 today", "call [phone] today"),
        ("call +1 (650) 253-0000.", "call [phone]."),
        ("from 192.168.1.77:8080", "from [ip_address]:8080"),
        ("from 2001:db8::7 on", "from [ip_address] on"),
    ],
)
def test_findings_are_masked_by_their_kind(text: str, masked: str) -> None:
    """With what stands around them left alone."""
    assert ALL.found(text)
    assert ALL.masked(text) == masked
    assert not ALL.found(masked)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.CARD_NUMBER, "a card 4111 1111 1111 1112 of no bank, 1234567812345670 of none"),
        (Kind.IBAN, "DE89 3704 0044 0532 0130 01, XX89370400440532013000"),
        (Kind.PHONE, "version 1.2.3 of 12:30, 1,234,567,890 euros in 2026"),
        (Kind.EMAIL, "file@10, @name, a@b, me at home"),
        (Kind.IP_ADDRESS, "version 1.2.3 at 12:30:45, 300.400.500.600, 1.2.3.4.5, face:bed"),
    ],
)
def test_what_only_looks_like_it_stays(kind: Kind, text: str) -> None:
    """A wrong check digit, a price, a time, a version."""
    one = PersonalData([kind], "DE")
    assert one.masked(text) == text
    assert not one.found(text)


def test_only_the_kinds_asked_for_are_masked() -> None:
    """And national numbers of a region that is named."""
    text = "a@b.example 030 1234567 +49 30 1234567"
    assert PersonalData([Kind.EMAIL]).masked(text) == "[email] 030 1234567 +49 30 1234567"
    assert PersonalData([Kind.PHONE]).masked(text) == "a@b.example 030 1234567 [phone]"
    assert PersonalData([]).masked(text) == text


def test_a_long_text_is_searched_in_time_that_grows_with_it() -> None:
    """Texts made to keep a search busy end as soon as others."""
    for piece in ("a.", "1 ", "4111 ", "DE89", "@", "a@", "::", "+49", "x"):
        text = piece * (20_000 // len(piece))
        assert PersonalData(tuple(kind for kind in EVERY if kind is not Kind.PHONE)).masked(text)


def test_settings_name_kinds_and_a_region() -> None:
    """By the environment as by the file; a region that is none is told."""
    settings = load_settings(environment={"HEADRACE_REDACTION__PERSONAL_DATA": "email, iban"})
    assert settings.redaction.kinds == (Kind.EMAIL, Kind.IBAN)
    assert settings.redaction.enabled
    assert not load_settings(environment={}).redaction.enabled
    with pytest.raises(ConfigurationError, match="phone_region"):
        PersonalData([Kind.PHONE], "XX")
    with pytest.raises(ConfigurationError, match="personal_data"):
        load_settings(environment={"HEADRACE_REDACTION__PERSONAL_DATA": "shoe_size"})
