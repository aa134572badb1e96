"""docs/security.md names settings, bounds and variables that exist, and its examples are usable."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from inference import image_work
from schemas.limits import DEFAULT_LIMITS
from streams.offline import OFFLINE
from streams.redaction.settings import Kind, Redaction
from streams.security import Mechanism, Protocol, Security
from streams.security.access import Right
from streams.security.credentials import VARIABLES
from streams.settings import Settings, load_settings

PAGE = (Path(__file__).parents[3] / "docs/security.md").read_text()
FIELDS = {
    kind: {field.name for field in msgspec.structs.fields(kind)} for kind in (Security, Redaction)
}


def section(heading: str) -> str:
    """Return the text from a heading to the next of its level or above."""
    level = heading.count("#")
    found = re.search(
        rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)", PAGE, re.MULTILINE | re.DOTALL
    )
    assert found, heading
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the tables in a text, without their heads."""
    lines = re.findall(r"^\| (`.*) \|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def blocks(kind: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "kind"), [("## TLS and login", Security), ("## Redaction", Redaction)]
)
def test_the_tables_hold_every_setting(heading: str, kind: Any) -> None:
    """And no other; defaults that are a value are those in force."""
    shown = {
        name: default
        for names, default, *_ in rows(section(heading).partition("### ")[0])
        for name in re.findall(r"`(\w+)`", names)
    }
    assert set(shown) == FIELDS[kind]
    for name, default in shown.items():
        value = getattr(kind(), name)
        if found := re.fullmatch(r"`?(\w+)`?", default):
            assert found[1] in {str(value), "none"} or found[1] in map(str, value)
        if default == "none":
            assert not value


def test_every_choice_is_shown() -> None:
    """Protocols, mechanisms and kinds of personal data."""
    for choice in (*Protocol, *Mechanism, *Kind):
        assert f"`{choice}`" in PAGE


def test_examples_of_settings_can_be_loaded() -> None:
    """As they stand on the page."""
    assert len(blocks("toml")) == 2
    for block in blocks("toml"):
        assert load_settings(environment={}, flags=tomllib.loads(block)) != Settings()


def test_the_deployment_sets_what_there_is() -> None:
    """Its variables are settings that fit each other, and its files are mounted."""
    secret, deployment = yaml.safe_load_all(*blocks("yaml"))
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    security = load_settings(environment=environment).security
    mounts = [Path(one["mountPath"]) for one in container["volumeMounts"]]
    for file in (security.ca_file, security.password_file):
        assert Path(file or "").parent in mounts
    assert Path(security.password_file or "").name in secret["stringData"]
    assert {one["name"] for one in container["volumeMounts"]} == {
        one["name"] for one in spec["volumes"]
    }


def test_variables_are_those_that_are_read() -> None:
    """Of secrets, and those that keep libraries off line."""
    named = set(re.findall(r"`(HEADRACE_SECURITY__\w+[A-Z])`", PAGE))
    assert named == set(VARIABLES.values())
    assert all(f"`{name}`" in PAGE for name in OFFLINE)
    for name in VARIABLES:
        assert f"`{name}_file`" in PAGE


def test_bounds_are_those_in_force() -> None:
    """Of images."""
    text = section("## Input that nobody vouches for")
    assert f"{DEFAULT_LIMITS.image_pixels // 10**6} million pixels of an image" in text
    assert f"{image_work.MOST_PARTS:,} chunks" in text
    assert f"{image_work.MOST_DECODED_BYTES // 10**6} MB of a PNG" in text
    assert f"{image_work.MOST_SCANNED // 10**6} million pixels of a JPEG" in text


def test_the_line_about_missing_rights_is_how_it_looks() -> None:
    """Rights are named as a worker names them."""
    for right in (Right("Read", "topic", "events.news"), Right("Write", "topic", "results.news")):
        assert str(right) in section("## Access rules")
