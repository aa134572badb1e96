"""Log lines of a library: through structlog where the program has set it up, else through logging.

structlog that nobody set up prints to standard output, where a program's answers go; the standard
library's logging then keeps what is less than a warning to itself.
"""

import logging
from typing import Any

import structlog


class Log:
    """Writes events with their fields.

    Args:
        name: The module's.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def info(self, event: str, **fields: Any) -> None:
        """Tell what was decided."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Tell what someone should look after."""
        self._write(logging.WARNING, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if structlog.is_configured():
            structlog.get_logger(self._name).log(level, event, **fields)
        else:
            said = " ".join(f"{name}={value}" for name, value in fields.items())
            logging.getLogger(self._name).log(level, "%s %s", event, said)
