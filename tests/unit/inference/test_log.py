"""Log lines reach whoever asked for them, and never a program's answers."""

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from inference.log import Log


def test_a_program_without_logs_prints_its_answers_alone():
    """Warnings go to standard error, as Python's own do."""
    code = (
        "from inference.log import Log\n"
        "Log('inference.x').info('chosen', precision='int8')\n"
        "Log('inference.x').warning('missing', what='kernels')\n"
        "print('the answer')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ran.stdout == "the answer\n"
    assert ran.stderr == "missing what=kernels\n"


@pytest.fixture
def without_structlog() -> Iterator[None]:
    """Leave structlog as nobody set it up, whichever test did so before."""
    was_configured, before = structlog.is_configured(), structlog.get_config()
    structlog.reset_defaults()
    yield
    if was_configured:
        structlog.configure(**before)


@pytest.mark.usefixtures("without_structlog")
def test_lines_go_through_the_standard_logging(caplog: pytest.LogCaptureFixture):
    """With their fields, under the module's name."""
    with caplog.at_level(logging.INFO, "inference.x"):
        Log("inference.x").info("chosen", precision="int8")
    assert caplog.record_tuples == [("inference.x", logging.INFO, "chosen precision=int8")]


def test_lines_go_through_structlog_where_it_is_set_up():
    """As the worker's own, field by field."""
    with structlog.testing.capture_logs() as lines:
        Log("inference.x").warning("missing", what="kernels")
    assert lines == [{"event": "missing", "what": "kernels", "log_level": "warning"}]
