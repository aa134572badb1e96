"""Frames become what each protocol has on its connections."""

import zlib

import pytest

from streams.gateway.wires import Messages, ServerSent, text_message


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_text_message_tells_its_size(size: int) -> None:
    """In as few bytes as its size needs."""
    text = b"x" * size
    sent = text_message(text)
    assert sent.endswith(text)
    head = sent[: len(sent) - size]
    assert head[0] == 0x81
    told = int.from_bytes(head[2:]) if len(head) > 2 else head[1]
    assert told == size
    assert len(head) == {0: 2, 125: 2, 126: 4, 65_535: 4, 65_536: 10}[size]


def test_what_is_sent_at_once_is_one_chunk() -> None:
    """Where HTTP has chunks."""
    assert ServerSent().packed([b"a", b"b" * 15]) == b"10\r\na" + b"b" * 15 + b"\r\n"
    assert ServerSent(is_chunked=False).packed([b"a", b"b"]) == b"ab"
    assert ServerSent().packing().pack([b"a", b"b"], 5) == b"2\r\nab\r\n"
    assert Messages.of("a").packing().pack([b"a", b"b"], 5) == b"ab"


def test_compressed_streams_begin_as_gzip_does() -> None:
    """What is for all and what is for one follow each other within."""
    wire = ServerSent(is_chunked=False, is_compressed=True)
    packing = wire.packing()
    gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    assert gzip.decompress(wire.preamble) == b""
    for number in range(5):
        data = b"%d" % number * 1_000
        assert gzip.decompress(packing.pack([data], 500)) == data
        packing.renew()
        assert gzip.decompress(wire.packed([data])) == data
    assert ServerSent().preamble == b""


def test_connections_that_are_written_alike_are_equal() -> None:
    """Then they share what is written; the name of a subscription is part of it."""
    assert ServerSent() == ServerSent()
    assert ServerSent() != ServerSent(is_compressed=True)
    assert Messages.of("a") == Messages.of("a")
    assert Messages.of("a") != Messages.of("b")
    assert len({ServerSent(), ServerSent(), Messages.of("a"), Messages.of("a")}) == 2
