"""docs/contracts.md is tried against the decoder: its examples, its fields and its limits."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import orjson
import pytest

from schemas import (
    DEFAULT_LIMITS,
    EVENT_TYPES,
    Classification,
    ContractError,
    DeadLetter,
    Modality,
    Outbound,
    Record,
    Source,
    Verdict,
    decode_dead_letter,
    decode_event,
    decode_result,
    encode_dead_letter,
    encode_result,
)
from schemas.cloudevents import PRIORITY_WORDS
from schemas.contract import RULES
from schemas.limits import Limits
from schemas.rules import Text
from streams.settings import Budgets
from streams.topics import topics_of

PAGE = (Path(__file__).parents[3] / "docs/contracts.md").read_text()
NOW = datetime(2026, 3, 2, 8, 0, 0, 31_000, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1e3)
_HEADER = re.compile(r"([a-z][a-z_-]*): (.*)")


@dataclass(frozen=True)
class Example:
    """One fenced block: what kind of record it is, and the record."""

    kind: str
    error: str | None
    record: Record


def parse(kind: str, error: str, text: str) -> Example:
    """Read key and headers up to the blank line, and the value after it."""
    head, blank, value = text.partition("\n\n")
    lines = head.splitlines()
    if not all(_HEADER.fullmatch(line) for line in lines):
        lines, value = [], text
    elif not blank:
        raise AssertionError(f"an example without a value: {text}")
    headers = [tuple(line.split(": ", 1)) for line in lines]
    return Example(
        kind,
        error or None,
        Record(
            topic="events.news",
            partition=3,
            offset=42,
            timestamp_ms=NOW_MS - 31,
            key=next((found.encode() for name, found in headers if name == "key"), None),
            value=value.strip().encode(),
            headers=[(name, found.encode()) for name, found in headers if name != "key"],
        ),
    )


EXAMPLES = [
    parse(*found)
    for found in re.findall(
        r"^```record ([a-z-]+) ?(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE
    )
]
EVENTS = [example for example in EXAMPLES if example.kind in set(Modality)]


def only(kind: str) -> Record:
    """Return the one example of a kind."""
    (found,) = [example.record for example in EXAMPLES if example.kind == kind]
    return found


@pytest.mark.parametrize(
    "example", [example for example in EVENTS if not example.error], ids=lambda one: one.kind
)
def test_examples_of_events_are_accepted(example: Example) -> None:
    """What the page shows can be sent as it is."""
    inbound = decode_event(example.record, Modality(example.kind), now_ms=NOW_MS)
    assert inbound.event.id


@pytest.mark.parametrize(
    "example",
    [example for example in EVENTS if example.error],
    ids=lambda one: f"{one.kind} {one.error}",
)
def test_examples_of_bad_events_are_refused_as_the_page_says(example: Example) -> None:
    """Each becomes the kind of dead letter that stands beside it."""
    with pytest.raises(ContractError) as refused:
        decode_event(example.record, Modality(example.kind), now_ms=NOW_MS)
    assert refused.value.code == example.error


def test_the_page_shows_every_form_of_every_kind() -> None:
    """Examples were found at all, of each modality and of the refused."""
    assert {example.kind for example in EVENTS if not example.error} == set(Modality)
    assert {example.error for example in EVENTS if example.error} == {"undecodable", "invalid"}


def test_the_binary_example_carries_what_its_headers_say() -> None:
    """Budget, priority, trace and time arrive where the page says that they do."""
    example = next(one for one in EVENTS if ("ce_budgetms", b"80") in one.record.headers)
    inbound = decode_event(example.record, Modality.NEWS, now_ms=NOW_MS)
    assert inbound.event.id == "n-1042"
    assert inbound.event.source == "/wire/north"
    assert (inbound.budget_ms, inbound.priority) == (80, 8)
    assert inbound.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert inbound.event_time == datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_the_result_is_what_a_worker_writes() -> None:
    """Decoded and written again it has the same headers, id included, and the same value."""
    shown = only("result")
    assert shown.value is not None
    result = decode_result(shown.value)
    trace = dict(shown.headers)["traceparent"]
    assert trace is not None
    written = encode_result(result, key=shown.key, traceparent=trace.decode())
    assert written.headers == list(shown.headers)
    assert orjson.loads(written.value or b"") == orjson.loads(shown.value)


def test_the_dead_letter_is_what_becomes_of_the_record_before_it() -> None:
    """Message, field and headers are those that the worker would write, in their order."""
    shown = only("dead-letter")
    original = next(one.record for one in EVENTS if one.error and one.record.key == shown.key)
    with pytest.raises(ContractError) as refused:
        decode_event(original, Modality.NEWS, now_ms=NOW_MS)
    letter = DeadLetter(
        error=refused.value.code,
        message=str(refused.value),
        field=refused.value.field,
        event_id=refused.value.event_id,
        source=Source(topic=original.topic, partition=3, offset=42),
        modality=Modality.NEWS,
        content_type="application/json",
        failed_at=NOW,
    )
    written = encode_dead_letter(letter, original)
    assert written == Outbound(key=shown.key, value=shown.value, headers=list(shown.headers))
    assert decode_dead_letter(shown) == letter


def table(after: str) -> dict[str, list[str]]:
    """Read the first table after a text: the other cells by the first one's name."""
    rows = re.search(r"\n\|.*?\n\|[-|]+\n((?:\|.*\n)+)", PAGE[PAGE.index(after) :])
    assert rows, after
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1].splitlines()]
    return {first.strip("`"): others for first, *others in cells}


@pytest.mark.parametrize("modality", list(Modality))
def test_the_fields_are_those_of_the_type(modality: Modality) -> None:
    """Names, order and what is required are the type's; limits of texts are the decoder's."""
    rows = table(f"**{modality.value.capitalize()}**")
    fields = msgspec.structs.fields(EVENT_TYPES[modality])
    assert list(rows) == [field.name for field in fields]
    assert {name for name, (required, _) in rows.items() if required} == {
        field.name for field in fields if field.required
    }
    for name, rule in RULES[modality].items():
        if isinstance(rule, Text):
            assert f"{getattr(DEFAULT_LIMITS, rule.limit):,} characters" in rows[name][1], name


@pytest.mark.parametrize(
    "limit", [name for name in Limits.__struct_fields__ if name not in ("future_ms", "tickers")]
)
def test_every_limit_is_on_the_page(limit: str) -> None:
    """A limit that is changed has to be changed here too."""
    figure = f"{getattr(DEFAULT_LIMITS, limit):,.0f}"
    assert re.search(rf"(?<![\d,]){figure}(?![\d,])", PAGE)


def test_results_and_verdicts_are_all_explained() -> None:
    """Every field of a result and every verdict has its row."""
    assert list(table('"result_time"')) == list(Classification.__struct_fields__)
    assert set(table("| `result_time`")) == set(Verdict)


def test_the_headers_of_a_letter_are_all_shown() -> None:
    """Every field of a dead letter can be seen in the example, or in the table below it."""
    names = {name.removeprefix("headrace_") for name, _ in only("dead-letter").headers}
    names |= set(re.findall(r"^\| `headrace_(\w+)` \|", PAGE, re.MULTILINE))
    assert set(DeadLetter.__struct_fields__) - {"source"} <= names


def test_defaults_named_on_the_page_are_the_settings() -> None:
    """Budgets and the words for priorities are those in force."""
    rows = table("### Headers")
    budgets = Budgets()
    expected = [budgets.of(modality) for modality in Modality]
    assert [float(figure) for figure in re.findall(r"\d+", rows["ce_budgetms"][1])] == expected
    words = dict(re.findall(r"`(\w+)` \((\d)\)", rows["ce_priority"][0]))
    assert {word: int(level) for word, level in words.items()} == PRIORITY_WORDS


def test_topics_are_named_as_they_are() -> None:
    """All nine topics stand on the page."""
    named = {name for modality in Modality for name in topics_of(modality)}
    assert named <= set(re.findall(r"`([a-z.]+)`", PAGE))
