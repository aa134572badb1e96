"""What is configured never appears in any byte that is published, whatever the record was."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban, luhn

from schemas.errors import ContractError, UndecodableError
from schemas.events import Modality
from schemas.kafka import Outbound, Record, decode_event, encode_redrive, encode_result
from schemas.results import Classification, DeadLetter, Effort, Latency, Model, Source, Verdict
from streams.redaction.personal_data import PersonalData
from streams.redaction.redactor import MASK, Redactor, redactor_of
from streams.redaction.settings import Kind, Redaction
from tests.fakes.lane import LaneRig
from tests.fakes.routes import route_of

SETTINGS = Redaction(
    fields=("speaker", "customer_no"), personal_data=(Kind.ALL,), phone_region="DE"
)
REDACTOR = Redactor(SETTINGS, Modality.TRANSCRIPT)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
SOURCE = Source(topic="events.transcripts", partition=0, offset=0)
RESULT = Classification(
    event_id="",
    modality=Modality.TRANSCRIPT,
    label="a",
    scores={"a": 1.0},
    verdict=Verdict.ON_TIME,
    model=Model(name="m", version="1", digest="sha256:0"),
    effort=Effort(active_share=1, layers=1, experts=1),
    latency=Latency(budget_ms=1, queue_ms=1, model_ms=1, total_ms=1),
    source=SOURCE,
    event_time=NOW,
    result_time=NOW,
)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="@:.+-0123456789"), max_size=12)


@st.composite
def cards(draw: st.DrawFn) -> str:
    """A number that a card could have, in the ways in which it is written."""
    digits = draw(st.sampled_from("3456")) + draw(
        st.text(st.sampled_from("0123456789"), min_size=14, max_size=14)
    )
    digits += luhn.calc_check_digit(digits)
    return draw(st.sampled_from(["", " ", "-"])).join(digits[i : i + 4] for i in range(0, 16, 4))


@st.composite
def ibans(draw: st.DrawFn) -> str:
    """An account in Germany."""
    account = draw(st.text(st.sampled_from("0123456789"), min_size=18, max_size=18))
    number = f"DE{iban.calc_check_digits(f'DE00{account}')}{account}"
    return iban.format(number) if draw(st.booleans()) else number


def example_phones() -> list[str]:
    """Return numbers of some countries, and of ours without its code, as they are written."""
    forms, found = phonenumbers.PhoneNumberFormat, []
    for region in ("DE", "US", "GB", "FR", "IN", "BR", "JP"):
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
            number = phonenumbers.example_number_for_type(region, kind)
            own = [forms.NATIONAL] if region == "DE" else []
            chosen = (forms.E164, forms.INTERNATIONAL, *own)
            found += [phonenumbers.format_number(number, form) for form in chosen]
    return found


PHONES = st.sampled_from(example_phones())
PERSONAL = st.one_of(cards(), ibans(), PHONES, st.emails(), st.ip_addresses().map(str))
SENTENCES = st.builds("{} {} {}".format, WORDS, PERSONAL, WORDS)


def published(outbound: Outbound) -> list[str]:
    """Return every text that is published of a record."""
    found = [one.decode("utf-8", "replace") for one in (outbound.key, outbound.value) if one]
    for name, value in outbound.headers:
        found += [name, (value or b"").decode("utf-8", "replace")]
    try:
        document = json.loads(outbound.value or b"null")
    except ValueError:
        return found
    return found + list(strings(document))


def strings(node: Any) -> list[str]:
    """Return every text in a document, names included."""
    if isinstance(node, dict):
        return [*node, *(text for one in node.values() for text in strings(one))]
    if isinstance(node, list):
        return [text for one in node for text in strings(one)]
    return [str(node)]


def publish(record: Record) -> Outbound:
    """Answer an event, or say why not, as a worker does."""
    try:
        inbound = decode_event(record, Modality.TRANSCRIPT, now_ms=NOW.timestamp() * 1e3)
    except ContractError as error:
        letter = DeadLetter(
            error=error.code,
            message=str(error),
            field=error.field,
            event_id=error.event_id,
            source=SOURCE,
            modality=Modality.TRANSCRIPT,
            content_type="application/json",
            failed_at=NOW,
        )
        return REDACTOR.letter(letter, record)
    why = f"superseded by segment 1 of session {record.key!r}, event {inbound.event.id!r}"
    result = msgspec.structs.replace(RESULT, event_id=inbound.event.id, reason=why)
    result, key = REDACTOR.result(result, record.key)
    return encode_result(result, key=key)


@st.composite
def records(draw: st.DrawFn) -> tuple[Record, list[str]]:
    """A record, good or bad, with personal data in its corners; and that data."""
    planted = [draw(PERSONAL) for _ in range(4)]
    document: dict[str, Any] = {
        "id": draw(st.sampled_from(["s-1", planted[0]])),
        "text": draw(st.sampled_from([f"it is {planted[1]} ok", "", 7, {planted[1]: planted[2]}])),
        "speaker": draw(st.sampled_from(["Ada Secret", None, ["Ada Secret"]])),
        "confidence": draw(st.sampled_from([0.5, planted[3], "Ada"])),
        "segment": draw(st.sampled_from([1, -1, planted[2]])),
        "extra": {"customer_no": "Ada Secret", "notes": [planted[0], {"n": planted[1]}]},
    }
    value = json.dumps(document, ensure_ascii=draw(st.booleans())).encode()
    form = draw(st.sampled_from(["plain", "plain", "cut", "twice", "latin", "packed"]))
    if form == "cut":
        value = value[:-2]
    elif form == "twice":
        value = value[:-1] + b',"extra":1}'
    elif form == "latin":
        value = b"\xff" + value
    elif form == "packed":
        envelope = {"specversion": "1.0", "data_base64": base64.b64encode(value).decode()}
        value = json.dumps(envelope).encode()
    headers = [(planted[3], planted[2].encode()), ("ce_speaker", b"Ada Secret"), ("x", None)]
    key = draw(st.sampled_from([None, planted[0].encode(), b"\xff" + planted[1].encode()]))
    return Record(topic=SOURCE.topic, key=key, value=value, headers=headers), planted


@given(records())
def test_nothing_that_is_configured_is_published(found: tuple[Record, list[str]]) -> None:
    """Results and letters, keys, headers and values; whatever form the record had."""
    record, planted = found
    outbound = publish(record)
    everything = published(outbound)
    for text in everything:
        assert not any(one in text for one in planted), text
        assert "Secret" not in text
    if "headrace_error" in {name for name, _ in outbound.headers}:
        with pytest.raises(UndecodableError, match="headrace_redacted"):
            encode_redrive(Record(topic="t", value=outbound.value, headers=outbound.headers))


@given(SENTENCES)
def test_what_is_masked_holds_nothing_any_more(text: str) -> None:
    """Masks are no new findings, and masking twice changes nothing."""
    data = PersonalData(SETTINGS.kinds, "DE")
    masked = data.masked(text)
    assert masked != text
    assert not data.found(masked)
    assert data.masked(masked) == masked


def letter_of(value: bytes | None, **changes: Any) -> Outbound:
    """Bury a record for a reason of ours."""
    letter = DeadLetter(
        error="invalid",
        message="text: 'what was said' is no text; send one",
        field="text",
        source=SOURCE,
        modality=Modality.TRANSCRIPT,
        failed_at=NOW,
    )
    letter = msgspec.structs.replace(letter, **changes)
    return REDACTOR.letter(letter, Record(topic=SOURCE.topic, key=b"k", value=value))


def headers_of(outbound: Outbound) -> dict[str, str]:
    """Read a letter's headers."""
    return {name: (value or b"").decode() for name, value in outbound.headers}


def test_a_letter_without_anything_to_mask_is_whole() -> None:
    """Byte for byte, so it can be sent in again."""
    value = b'{ "id" : "s-1",  "text": 7 }'
    outbound = letter_of(value)
    assert outbound.value == value
    assert "headrace_redacted" not in headers_of(outbound)
    again = encode_redrive(Record(topic="t", value=outbound.value, headers=outbound.headers))
    assert again.value == value
    assert letter_of(None).value == b""
    assert headers_of(letter_of(None))["headrace_value_null"] == "true"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"\x00\x01", "2 bytes, not JSON"),
        (b'{"a": 1, "a": 2}', "16 bytes, not JSON"),
        (b"[" * 100_000, "100000 bytes, more than the 16384"),
        (b"[" * 16_000, "16000 bytes, not JSON"),
    ],
)
def test_what_cannot_be_looked_through_is_withheld(value: bytes, why: str) -> None:
    """And the letter says so."""
    outbound = letter_of(value)
    assert outbound.value == b""
    assert headers_of(outbound)["headrace_redacted"].startswith(f"value withheld: {why}")


def test_messages_do_not_quote_the_event() -> None:
    """Ours lose what is quoted; those of a model's code, and of masked fields, are masked whole."""
    assert headers_of(letter_of(b"{}"))["headrace_message"] == (
        "text: [redacted] is no text; send one"
    )
    poison = headers_of(letter_of(b"{}", error="poison", message="KeyError: said"))
    assert poison["headrace_message"] == "[redacted] poison"
    named = headers_of(letter_of(b"{}", field="customer_no[3]", message="customer_no: 12 is odd"))
    assert named["headrace_message"] == "[redacted] invalid"


def test_images_are_withheld() -> None:
    """Nobody looks into them."""
    redactor = Redactor(Redaction(fields=("camera_id",)), Modality.CAMERA)
    letter = DeadLetter(
        error="invalid", message="", source=SOURCE, modality=Modality.CAMERA, failed_at=NOW
    )
    raw = redactor.letter(
        letter, Record(topic="t", value=b"\xff\xd8\xff", headers=[("ce_cameraid", b"gate")])
    )
    assert raw.value == b""
    assert headers_of(raw)["ce_cameraid"] == MASK
    packed = redactor.letter(letter, Record(topic="t", value=b'{"image": "/9j/", "camera_id": 3}'))
    assert orjson.loads(packed.value or b"") == {"image": MASK, "camera_id": MASK}


def test_it_is_for_the_modalities_that_are_named() -> None:
    """Speech, unless told otherwise; and nothing at all where nothing is to be masked."""
    assert redactor_of(SETTINGS, Modality.TRANSCRIPT) is not None
    assert redactor_of(SETTINGS, Modality.NEWS) is None
    assert redactor_of(Redaction(), Modality.TRANSCRIPT) is None


async def test_a_lane_publishes_nothing_but_what_is_left() -> None:
    """Results, letters, and letters that the broker finds too large."""
    redactor = Redactor(Redaction(fields=("id",), personal_data=(Kind.EMAIL,)), Modality.NEWS)
    async with LaneRig(route_of(), redactor=redactor).started() as rig:
        rig.admit(b'{"id": "n-1", "headline": "Ferry line"}', key=b"a@b.example")
        rig.admit(b'{"id": "n-2", "headline": 7, "by": "a@b.example"}')
        await rig.drained()
        (result,) = rig.publisher.sent("results.news")
        (parcel,) = [one for one in rig.publisher.parcels if one.topic == "events.news.dlq"]
        assert parcel.fallback is not None
        sent = [result, parcel.make(), parcel.fallback()]
        assert result.key == b"[email]"
        assert orjson.loads(result.value or b"")["event_id"] == MASK
        assert not any(
            "b.example" in text or "n-1" in text or "n-2" in text
            for one in sent
            for text in published(one)
        )


def test_what_a_result_is_grouped_by_is_masked_like_the_event() -> None:
    """By the field's name, and by what is found in it."""
    fields = ("session_id", "segment", "tickers", "speaker", "is_question")
    named = Redactor(Redaction(fields=fields), Modality.TRANSCRIPT)
    result = msgspec.structs.replace(
        RESULT,
        session_id="call-7",
        segment=3,
        tickers=("HBR",),
        camera_id="gate-3",
        speaker="Ann",
        is_question=True,
    )
    kept, _ = named.result(result, b"")
    assert (kept.speaker, kept.is_question) == (MASK, None)
    assert (kept.session_id, kept.segment, kept.tickers) == (MASK, None, (MASK,))
    assert kept.camera_id == "gate-3"
    mail = msgspec.structs.replace(
        result, session_id="of ann@example.com", speaker="ann@example.com"
    )
    assert "ann@" not in str(REDACTOR.result(mail, b"")[0])
