"""docs/tracing.md names settings that exist, and what spans hold."""

import re
from pathlib import Path

import msgspec

from streams.tracing import spans
from streams.tracing.settings import DEFAULT_RATIO, TracingSettings

PAGE = (Path(__file__).parents[3] / "docs/tracing.md").read_text()


def rows(heading: str) -> dict[str, str]:
    """Return the second cells of the table under a head, by the first ones."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| (`.*?) \| (.*?) \|", table, re.MULTILINE))


def test_the_table_holds_every_setting_with_its_default() -> None:
    """And no other."""
    table = {name.strip("`"): default.strip("`") for name, default in rows("setting").items()}
    assert set(table) == set(TracingSettings.__struct_fields__)
    of_fields = {one.name: one.default for one in msgspec.structs.fields(TracingSettings)}
    told = of_fields | {"sample_ratio": DEFAULT_RATIO, "service_name": "headrace"}
    assert table == {name: str(value).lower() for name, value in told.items()}


def test_the_table_holds_every_attribute_of_an_event() -> None:
    """Names that are written in the code stand on the page, whole or behind a dot."""
    written = set(
        re.findall(r'"((?:messaging|headrace|error)\.[\w.]+)"', Path(spans.__file__).read_text())
    )
    named = set(re.findall(r"`((?:messaging|headrace|error)?\.?[\w.]+)`", PAGE))
    for name in written:
        tail = re.sub(r"^(messaging|headrace)(\.message|\.destination)?", "", name)
        assert {name, tail, name.removeprefix("messaging")} & named, name
