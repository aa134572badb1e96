"""Records that are good, nearly good, and nothing of the kind, drawn from a seed."""

import gzip
import io
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from PIL import Image

from schemas.events import CameraEvent, Event, Modality, NewsEvent, TranscriptEvent
from schemas.kafka import Header, Mode, encode_event
from streams.steel import FLAWS, draw_steel

NOW_MS = 1_772_438_400_000
MOMENT = datetime.fromtimestamp(NOW_MS / 1e3, UTC)
MODES: tuple[Mode, ...] = ("binary", "structured", "json")
CONTENT_TYPES = (
    b"application/json",
    b"application/json; charset=utf-16",
    b"application/cloudevents+json",
    b"application/cloudevents+json; charset=utf-8",
    b"application/cloudevents-batch+json",
    b"application/avro",
    b"image/jpeg",
    b"image/png",
    b"image/gif",
    b"text/plain",
    b"; ; =",
    b"\xff\xfe",
    b"",
)
ATTRIBUTES = (
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_datacontenttype",
    "ce_budgetms",
    "ce_priority",
    "ce_onoverload",
    "ce_traceparent",
    "ce_cameraid",
    "traceparent",
    "headrace_attempts",
)
TELLING: tuple[bytes | None, ...] = (
    None,
    b"",
    b"1.0",
    b"0.3",
    b"-1",
    b"250",
    b"1e999",
    b"nan",
    b"high",
    b"shed",
    b"2026-03-02T07:59:58Z",
    b"0001-01-01T00:00:00+14:00",
    b"9999-12-31T23:59:59.999999-14:00",
    b"headrace.news.v1",
    b"headrace.camera.v2",
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    b"\xc3\x28",
    "\N{LATIN SMALL LETTER I WITH DIAERESIS}\N{SNOWMAN}\0".encode(),
)
TEXTS = (
    "Harbour strike ends after nine days",
    "we expect margins to widen in the second half",
    "\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH JOINER}\N{COMBINING ACUTE ACCENT}" * 20,
    "\N{CJK UNIFIED IDEOGRAPH-6E2F}" * 300,
    " \t\n\r ",
    "\0",
    "'\"\\/<>&;--",
)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, -0.0, 1e308, 2**63 - 1, -(2**63), 2**64 - 1,
    "", "x", "1.0", "2026-03-02T07:59:58Z", "0001-01-01T00:00:00+14:00", "AAAA", "====",
    [], {}, [[]], {"": None}, ["PORT"] * 100, [None], {"id": "inner"},
)  # fmt: skip
RAW_JSON = (
    b"[" * 2_000,
    b'{"id":' * 500,
    b'{"id": "\\ud800", "headline": "x", "text": "x"}',
    b'{"id": "a", "id": "b", "headline": "x", "text": "x"}',
    b'{"id": NaN, "headline": "x"}',
    b'{"id": "a", "headline": 1' + b"0" * 400 + b"}",
    b'\xef\xbb\xbf{"id": "a", "headline": "x"}',
    '{"id": "a", "headline": "x"}'.encode("utf-16"),
    b"null",
    b'"a"',
)


@dataclass(frozen=True, slots=True)
class Made:
    """A record to be read.

    Attributes:
        untouched: It is as a producer of ours writes it, so it has to be taken.
    """

    modality: Modality
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    timestamp_ms: int
    untouched: bool


class Mutator:
    """Draws records; the same seed gives the same ones.

    A tenth are good. The others have been through one to three of a dozen kinds of damage.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._pictures = _pictures()
        self._damages: tuple[Callable[[Made], Made], ...] = (
            self._bytes,
            self._bytes,
            self._field,
            self._field,
            self._header,
            self._header,
            self._content_type,
            self._many_headers,
            self._value,
            self._packed,
            self._timestamp,
            self._other_modality,
            self._cut,
            self._long,
        )

    def draw(self) -> Made:
        """Return the next record."""
        chance = self._chance
        made = self._good(chance.choice(tuple(Modality)))
        if chance.random() < 0.1:
            return made
        for _ in range(chance.randint(1, 3)):
            made = chance.choice(self._damages)(made)
        return replace(made, untouched=False)

    def _good(self, modality: Modality) -> Made:
        chance = self._chance
        outbound = encode_event(
            self._event(modality),
            mode=chance.choice(MODES),
            key=chance.choice((None, b"", b"k", chance.randbytes(8))),
            budget_ms=chance.choice((None, None, 1.0, 250.5)),
            priority=chance.choice((None, 0, "high")),
            on_overload=chance.choice((None, None, "late", "shed")),
        )
        return Made(
            modality, outbound.key, outbound.value, outbound.headers, NOW_MS, untouched=True
        )

    def _event(self, modality: Modality) -> Event:
        chance = self._chance
        name = f"{modality.value}-{chance.randrange(1 << 30)}"
        text = f"{TEXTS[chance.randrange(2)]} {chance.randrange(10**6)}"
        when = MOMENT if chance.random() < 0.5 else None
        if modality is Modality.NEWS:
            body = text * chance.choice((0, 1, 40)) or None
            return NewsEvent(id=name, headline=text, body=body, published_at=when)
        if modality is Modality.TRANSCRIPT:
            session = f"call-{chance.randrange(5_000)}"
            segment = chance.randrange(40)
            final = chance.random() < 0.5
            return TranscriptEvent(
                id=name, text=text, session_id=session, segment=segment, is_final=final
            )
        camera = f"camera-{chance.randrange(50_000)}"
        image = chance.choice(self._pictures)
        return CameraEvent(id=name, image=image, camera_id=camera, captured_at=when)

    def _bytes(self, made: Made) -> Made:
        """Overwrite, insert, remove or repeat some bytes."""
        chance, value = self._chance, bytearray(made.value or b"")
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(value) + 1)
            match chance.randrange(4):
                case 0:
                    value[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    value[at:at] = chance.randbytes(chance.choice((1, 4, 40)))
                case 2:
                    del value[at : at + chance.choice((1, 4, 40))]
                case _:
                    value[at:at] = value[at : at + 16]
        return replace(made, value=bytes(value))

    def _field(self, made: Made) -> Made:
        """Replace, remove or add a field of a JSON document, also of one inside another."""
        chance = self._chance
        try:
            document = orjson.loads(made.value or b"")
        except orjson.JSONDecodeError:
            return self._bytes(made)
        inner = document
        if isinstance(document, dict) and isinstance(document.get("data"), dict):
            inner = chance.choice((document, document["data"]))
        if not isinstance(inner, dict):
            return self._bytes(made)
        name = chance.choice([*inner, "id", "headline", "text", "image", "extra", ""])
        if chance.random() < 0.25:
            inner.pop(name, None)
        else:
            inner[name] = chance.choice((*VALUES, *TEXTS))
        return replace(made, value=orjson.dumps(document))

    def _header(self, made: Made) -> Made:
        chance = self._chance
        name = chance.choice(ATTRIBUTES)
        name = chance.choice((name, name.upper(), name.removeprefix("ce_")))
        value = chance.choice((*TELLING, chance.randbytes(12)))
        kept = [one for one in made.headers if one[0] != name or chance.random() < 0.3]
        return replace(made, headers=[*kept, (name, value)])

    def _content_type(self, made: Made) -> Made:
        kept = [one for one in made.headers if one[0] != "content-type"]
        if self._chance.random() < 0.2:
            return replace(made, headers=kept)
        found = ("content-type", self._chance.choice(CONTENT_TYPES))
        return replace(made, headers=[*kept, found])

    def _many_headers(self, made: Made) -> Made:
        chance = self._chance
        if chance.random() < 0.8:
            return self._header(made)
        count, size = chance.choice(((100, 4), (3, 40_000)))
        more = [(f"x-{number}", chance.randbytes(size)) for number in range(count)]
        return replace(made, headers=[*made.headers, *more])

    def _value(self, made: Made) -> Made:
        chance = self._chance
        drawn = (None, b"", chance.randbytes(chance.randrange(400)), *RAW_JSON)
        return replace(made, value=chance.choice(drawn))

    def _packed(self, made: Made) -> Made:
        """Compress the value, as a producer does who takes it for Kafka's business."""
        packed: Callable[[bytes], bytes] = self._chance.choice((gzip.compress, zlib.compress))
        return replace(made, value=packed(made.value or b""))

    def _timestamp(self, made: Made) -> Made:
        drawn = (-1, 0, 1, NOW_MS + 10**9, 2**62, -(2**62), NOW_MS - 10**9)
        return replace(made, timestamp_ms=self._chance.choice(drawn))

    def _other_modality(self, made: Made) -> Made:
        return replace(made, modality=self._chance.choice(tuple(Modality)))

    def _cut(self, made: Made) -> Made:
        value = made.value or b""
        return replace(made, value=value[: self._chance.randrange(len(value) + 1)])

    def _long(self, made: Made) -> Made:
        """Now and then, something large: it must not take long for all that."""
        chance = self._chance
        if chance.random() < 0.98:
            return self._bytes(made)
        match chance.randrange(3):
            case 0:
                text = chance.choice(("a", "ab ", "\N{SNOWMAN}", "[")) * 150_000
                document = {"id": "long", "headline": "x", "text": text, "body": text}
                return replace(made, value=orjson.dumps(document))
            case 1:
                return replace(made, value=chance.randbytes(3_000_000))
            case _:
                return replace(made, value=b"[" * 1_000_000)


def _pictures() -> list[bytes]:
    """Draw good images of both kinds and a few sizes, and some that lie about theirs."""
    found = [draw_steel(flaw, seed) for seed in range(2) for flaw in FLAWS]
    for mode, size in (("L", (8, 8)), ("RGB", (300, 20)), ("P", (64, 64)), ("CMYK", (40, 40))):
        for kind in ("PNG", "JPEG"):
            if (mode, kind) in {("P", "JPEG"), ("CMYK", "PNG")}:
                continue
            file = io.BytesIO()
            Image.new(mode, size, 90).save(file, kind)
            found.append(file.getvalue())
    return found


def boasting_png(width: int, height: int) -> bytes:
    """Return a PNG whose header claims a size that its data do not have."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = (head, data, b"IEND")
    written = b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + written
