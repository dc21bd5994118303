"""The lines that a fleet writes: its own, its workers' output and the records of `job.log`, as text or JSON."""

from __future__ import annotations

import enum
import os
import sys
import time
from typing import Any, Final, Literal

import msgspec

from jobfleet.supervisor.writer import Account, Writer

_encode = msgspec.json.Encoder(enc_hook=str).encode


class Level(enum.IntEnum):
    """Severities, with the numbers of the standard library."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40

    @classmethod
    def of(cls, number: int) -> Level:
        """The severity that covers `number`."""
        return cls(min(40, max(10, number // 10 * 10)))


_SILENT: Final = 100


class Log:
    """Formats lines and hands them to the writer. `source` is who speaks: the fleet, or `pool/pid`."""

    def __init__(
        self, shape: Literal["text", "json"] = "text", writer: Writer | None = None, least: str = "debug"
    ) -> None:
        """`least` names the least severe lines that are written; `silent` writes none."""
        self._shape = shape
        self._least = _SILENT if least == "silent" else Level[least.upper()]
        self._writer = writer or Writer()
        self.account = Account()
        # A terminal has a clock beside it and little width.
        self._is_terminal = writer is None and sys.stderr is not None and os.isatty(2)

    def info(self, message: str, **fields: Any) -> None:
        """Say what the fleet does."""
        self.line(Level.INFO, "fleet", message, fields, self.account)

    def warning(self, message: str, **fields: Any) -> None:
        """Say what went wrong and was survived."""
        self.line(Level.WARNING, "fleet", message, fields, self.account)

    def error(self, message: str, **fields: Any) -> None:
        """Say what needs a human."""
        self.line(Level.ERROR, "fleet", message, fields, self.account)

    def line(self, level: Level, source: str, message: str, fields: dict[str, Any], account: Account) -> None:
        """Write one line. Lines of `account` that were dropped before are told of first."""
        if level < self._least:
            return
        if account.dropped and not account.is_full:
            told, account.dropped = account.dropped, 0
            note = f"{told} lines were dropped: more than the log takes"
            self._writer.put(self._format(Level.WARNING, source, note, {"dropped": told}), account)
        self._writer.put(self._format(level, source, message, fields), account)

    def close(self) -> None:
        """Write what waits, for a second at most."""
        self._writer.close()

    def _format(self, level: Level, source: str, message: str, fields: dict[str, Any]) -> bytes:
        if self._shape == "json":
            record = {"ts": _utc(), "level": level.name.lower(), "source": source, "message": message}
            record |= {name: value for name, value in fields.items() if value is not None and name not in record}
            return _encode(record) + b"\n"
        when = time.strftime("%H:%M:%S") if self._is_terminal else _utc()
        tail = "".join(f" {name}={_shown(value)}" for name, value in fields.items() if value is not None)
        first, *more = message.split("\n")
        head = f"{when} {level.name.lower():7} {source}  "
        lines = [f"{head}{first}{tail}", *(f"{head}  {line}" for line in more if line)]
        return ("\n".join(lines) + "\n").encode(errors="replace")


def _utc() -> str:
    now = time.time()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"


def _shown(value: Any) -> str:
    """A field in a text line: bare when it is one plain word, else as JSON."""
    if isinstance(value, str) and value and value.isprintable() and not any(mark in value for mark in ' "='):
        return value
    return _encode(value).decode()
