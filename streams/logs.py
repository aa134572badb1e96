"""Logs: readable lines for people, JSON lines for collectors; always on standard error."""

import logging
import sys
import time
from collections.abc import Callable

import structlog
from aiokafka.errors import KafkaError
from structlog.tracebacks import ExceptionDictTransformer

REPEAT_S = 10.0
"""A line of a client library that comes again and again is written this often at most."""

CLIENTS = ("aiokafka", "opentelemetry")
"""Libraries that tell the same again with every attempt, while whom they talk to is away."""


class Throttle(logging.Filter):
    """Lets a line through, and its like again only after a while, with how many were left out.

    While a broker is away aiokafka writes forty lines a second.

    Args:
        every_s: Seconds between two lines of the same wording.
        monotonic: The clock, in seconds.
    """

    def __init__(self, every_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._monotonic = monotonic
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether to write a record; adds the number of those left out before it."""
        wording = (record.name, record.levelno, str(record.msg))
        now = self._monotonic()
        since, left_out = self._seen.get(wording, (-float("inf"), 0))
        if now - since < self._every_s:
            self._seen[wording] = (since, left_out + 1)
            return False
        self._seen[wording] = (now, 0)
        if left_out:
            record.msg = f"{record.getMessage()} (and {left_out} more like it)"
            record.args = ()
        return True


def configure(style: str = "console", level: str = "info") -> None:
    """Set up structlog and send the standard library's loggers through it.

    Args:
        style: ``console`` or ``json``.
        level: Least severe level that is logged.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # Tracebacks without the values of variables: those may be a password, or somebody's call.
    plain = ExceptionDictTransformer(show_locals=False)
    render: list[structlog.typing.Processor] = (
        [structlog.processors.ExceptionRenderer(plain), structlog.processors.JSONRenderer()]
        if style == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    throttle = Throttle(REPEAT_S)
    handler.addFilter(lambda record: not _is_of(record, *CLIENTS) or throttle.filter(record))
    handler.addFilter(_on_one_line)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # aiokafka tells every rebalance at INFO; ours are told by the worker in its own words.
    logging.getLogger("aiokafka").setLevel(max(logging.WARNING, root.level))


def _on_one_line(record: logging.LogRecord) -> bool:
    """Shorten what aiokafka says of the broker's errors: its own stack tells nobody anything."""
    if (
        record.exc_info
        and _is_of(record, "aiokafka")
        and isinstance(record.exc_info[1], KafkaError)
    ):
        record.msg = f"{record.getMessage()}: {record.exc_info[1]!r}"
        record.args, record.exc_info = (), None
    return True


def _is_of(record: logging.LogRecord, *libraries: str) -> bool:
    return record.name.partition(".")[0] in libraries
