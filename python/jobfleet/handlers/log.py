"""`job.log`: structured records that carry their job."""

import logging
import traceback
from typing import Any

from jobfleet.handlers.context import Context

_unbound = logging.getLogger("jobfleet.job")


class JobLog:
    """Writes records of one job: a message and any fields. Cheap enough to make anew for each record."""

    __slots__ = ("_context", "_number")

    def __init__(self, context: Context | None, number: int) -> None:
        self._context = context
        self._number = number

    def debug(self, message: str, /, **fields: Any) -> None:
        """Record at level DEBUG."""
        self.log(logging.DEBUG, message, **fields)

    def info(self, message: str, /, **fields: Any) -> None:
        """Record at level INFO."""
        self.log(logging.INFO, message, **fields)

    def warning(self, message: str, /, **fields: Any) -> None:
        """Record at level WARNING."""
        self.log(logging.WARNING, message, **fields)

    def error(self, message: str, /, **fields: Any) -> None:
        """Record at level ERROR."""
        self.log(logging.ERROR, message, **fields)

    def exception(self, message: str, /, **fields: Any) -> None:
        """Record at level ERROR with the traceback of the exception that is being handled."""
        self.log(logging.ERROR, message, exception=traceback.format_exc(), **fields)

    def log(self, level: int, message: str, /, **fields: Any) -> None:
        """Record at `level`, a number as in the standard library's logging."""
        if self._context is not None:
            self._context.log(self._number, level, message, fields)
        else:
            _unbound.log(level, "%s", message if not fields else f"{message} {fields}")
