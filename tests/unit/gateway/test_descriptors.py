"""A gateway has room for the clients that it may have, as far as the system lets it."""

import resource
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from streams.gateway.descriptors import BESIDE, make_room


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """Return the limits of open files; they are as before after the test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] == resource.RLIM_INFINITY:
        pytest.skip("this system has no limit of open files")
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_low_limit_is_raised_by_as_much_as_is_needed(limits: tuple[int, int]) -> None:
    """And one that is high enough stays."""
    most = limits[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (BESIDE, most))
    make_room(100)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (100 + BESIDE, most)
    make_room(10)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (100 + BESIDE, most)


def test_a_limit_that_is_too_low_for_good_is_told(limits: tuple[int, int]) -> None:
    """With what to do; the gateway serves those that it can."""
    most = limits[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (BESIDE, most))
    with capture_logs() as logs:
        make_room(most)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
    (told,) = logs
    assert (told["event"], told["open_files"], told["needed"]) == (
        "few_descriptors",
        most,
        most + BESIDE,
    )
