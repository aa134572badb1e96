"""The printed schemas say what the decoder does, and are kept up to date."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import schemas
from schemas import (
    DEFAULT_LIMITS,
    EVENT_TYPES,
    Alert,
    Classification,
    ContractError,
    DeadLetter,
    Fused,
    Inbound,
    Limits,
    Modality,
    SessionState,
    Signal,
)
from schemas.contract import RULES
from schemas.generate import FOLDER, documents, field_docs, main
from schemas.limits import Limits as LimitsType

Decode = Callable[..., Inbound]
Draw = Callable[..., bytes]
NEWS = {"id": "n-17", "headline": "Harbour strike ends after nine days"}
SAID = {"id": "s-4", "text": "good morning"}

EXAMPLES: dict[Modality, list[dict[str, Any]]] = {
    Modality.NEWS: [
        NEWS,
        {"id": "n-17"},
        {"headline": "Rain"},
        {},
        *(
            NEWS | {"id": value}
            for value in ("", " ", "x" * 256, "x" * 257, "a\nb", "\x9f", 7, None)
        ),
        *(
            NEWS | {"headline": value}
            for value in ("x" * 2000, "x" * 2001, "", "\t\n", "\u200b", " Rain\n", "a\0b", "\x07 a")
        ),
        *(NEWS | {"headline": value} for value in ("😀" * 2000, "😀" * 2001, "\x1c", "\u2028")),
        *(
            NEWS | {"body": value}
            for value in ("", " ", "x" * 200_000, "x" * 200_001, "\0", None, 3)
        ),
        *(NEWS | {name: "x" * 256} for name in ("source", "language", "url")),
        *(NEWS | {name: "x" * 2049} for name in ("source", "language", "url")),
        *(
            NEWS | {"tickers": value}
            for value in ([], ["A"] * 64, ["A"] * 65, ["A" * 33], [""], ["A\tB"], [None], "A", None)
        ),
        *(
            NEWS | {"published_at": value}
            for value in (
                "2026-03-02T08:00:00Z",
                "2026-03-02t08:00:00.123456z",
                "2026-03-02 08:00:00-05:30",
                "2026-03-02T08:00:00",
                "2026-03-02",
                "1969-12-31T23:59:59Z",
                "1970-01-01T00:00:00Z",
                "noon",
                1_772_438_400,
                None,
            )
        ),
        NEWS | {"unknown": {"deep": [1, 2]}},
    ],
    Modality.TRANSCRIPT: [
        SAID,
        {"id": "s-4"},
        *(SAID | {"text": value} for value in ("x" * 20_000, "x" * 20_001, " ", [])),
        *(
            SAID | {name: value}
            for name in ("segment", "start_ms", "end_ms")
            for value in (0, 2**53 - 1, 2**53, -1, 3.0, 3.5, "3", True, None)
        ),
        *(SAID | {"confidence": value} for value in (0, 1, 0.5, 1.0, 1.1, -0.1, "1", True, None)),
        *(SAID | {"is_final": value} for value in (True, False, None, 0, "true")),
        *(SAID | {name: "x" * 256} for name in ("speaker", "session_id")),
        *(SAID | {name: "x" * 257} for name in ("speaker", "session_id")),
    ],
}


@pytest.mark.parametrize("modality", EXAMPLES)
def test_schema_and_decoder_agree(decode: Decode, modality: Modality):
    """On every example, good or bad."""
    validator = Draft202012Validator(documents()[f"{modality.value}_event"])
    verdicts = set()
    for document in EXAMPLES[modality]:
        try:
            decode(document, modality=modality)
            accepted = True
        except ContractError:
            accepted = False
        assert validator.is_valid(document) == accepted, document
        verdicts.add(accepted)
    assert verdicts == {True, False}


def test_schema_and_decoder_agree_on_cameras(decode: Decode, picture: Draw):
    """As far as a schema can look into an image."""
    validator = Draft202012Validator(documents()["camera_event"])
    good = {"id": "f-1", "image": base64.b64encode(picture()).decode()}
    examples = {
        True: [good, good | {"camera_id": "yard"}, good | {"content_type": "image/png"}],
        False: [
            {"id": "f-1"},
            good | {"image": ""},
            good | {"image": 7},
            good | {"content_type": "image/gif"},
            good | {"camera_id": "x" * 257},
            good | {"captured_at": "noon"},
        ],
    }
    for accepted, some in examples.items():
        for document in some:
            assert validator.is_valid(document) == accepted, document
            if accepted:
                assert decode(document, modality=Modality.CAMERA).event.id == "f-1"
            else:
                with pytest.raises(ContractError):
                    decode(document, modality=Modality.CAMERA)


def test_a_changed_limit_changes_the_schema():
    """Nothing in the schema is written twice."""
    news = documents(Limits(headline_chars=99))["news_event"]
    assert news["properties"]["headline"]["maxLength"] == 99


@pytest.mark.parametrize("name", documents())
def test_each_document_is_a_valid_schema(name: str):
    """Of the dialect that it names."""
    schema = documents()[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:headrace:{name}:v1"


@pytest.mark.parametrize(
    "kind",
    [
        *EVENT_TYPES.values(),
        Alert,
        Classification,
        DeadLetter,
        Fused,
        LimitsType,
        SessionState,
        Signal,
    ],
    ids=str,
)
def test_each_field_is_explained(kind: type):
    """A field without a docstring would be a field without a description."""
    assert set(field_docs(kind)) == set(kind.__struct_fields__)


@pytest.mark.parametrize("modality", list(Modality))
def test_each_field_has_a_rule(modality: Modality):
    """A new field cannot be forgotten by the decoder."""
    assert list(RULES[modality]) == list(EVENT_TYPES[modality].__struct_fields__)


def test_the_committed_files_are_up_to_date():
    """What is packaged is what the types say."""
    assert main(["--check"]) == 0


def test_generating_twice_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The second time there is nothing to write."""
    assert main([], tmp_path) == 0
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    capsys.readouterr()
    assert main([], tmp_path) == 0
    assert capsys.readouterr().out == ""


def test_the_check_names_the_file_that_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Changed, missing or left over; and it writes nothing."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "news_event.json").write_text("{}")
    (tmp_path / "dead_letter.json").unlink()
    (tmp_path / "old_event.json").write_text("{}")
    assert main(["--check"], tmp_path) == 1
    complaints = capsys.readouterr().err.splitlines()
    named = [Path(complaint.split()[0]).name for complaint in complaints]
    assert named == ["dead_letter.json", "news_event.json", "old_event.json"]
    assert (tmp_path / "news_event.json").read_text() == "{}"
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    assert not (tmp_path / "old_event.json").exists()


def test_every_public_name_is_there_and_sorted():
    """``from schemas import *`` gives what the documentation shows."""
    assert len(schemas.__all__) == len(set(schemas.__all__))
    for name in schemas.__all__:
        assert hasattr(schemas, name)


def test_the_largest_text_event_fits_into_a_record(decode: Decode):
    """The limits of fields and of the whole do not contradict each other."""
    largest = NEWS | {"body": "\x01" * DEFAULT_LIMITS.body_chars}
    written = json.dumps(largest).encode()
    assert len(written) > 6 * DEFAULT_LIMITS.body_chars
    assert decode(written).event.body == largest["body"]
