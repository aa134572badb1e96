"""What a client takes is read from its request."""

import pytest

from streams.gateway.asking import takes_gzip


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("", False),
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, GZIP;q=0.8", True),
        ("x-gzip", True),
        ("identity", False),
        ("*", False),
        ("gzip;q=0, *", False),
        ("gzip; q=0.000", False),
        ("gzip; q=0.001", True),
        ("gzipped", False),
    ],
)
def test_gzip_is_taken_where_it_is_named(header: str, takes: bool) -> None:
    """And not refused by a weight of nothing."""
    assert takes_gzip(header) is takes
