"""Takes the output of worker processes and zygotes, line by line, and never blocks them for the log's sake."""

from __future__ import annotations

import asyncio
import os
from typing import Final

from jobfleet.supervisor.log import Level, Log
from jobfleet.supervisor.writer import Account

LINE_BYTES: Final = 16 * 1024
# Read at most this much before others get their turn.
_READ_BYTES: Final = 1 << 16


class Output:
    """The reading end of one process's stdout and stderr."""

    def __init__(self, fd: int, log: Log, loop: asyncio.AbstractEventLoop) -> None:
        self._fd = fd
        self._log = log
        self._loop = loop
        self._partial = b""
        self._is_cut = False
        self.source = ""
        self.account = Account()
        self._is_read = False
        os.set_blocking(fd, False)

    def start(self, source: str) -> None:
        """Read from now on, in the name of `source`. What was written before waits in the pipe."""
        self.source = source
        if self._fd >= 0:
            self._is_read = True
            self._loop.add_reader(self._fd, self._read)

    def finish(self) -> None:
        """Take what is left in the pipe, then close it: its process is dead."""
        while self._fd >= 0 and self._read():
            pass
        self._close()

    def _read(self) -> bool:
        """Take one piece; whether there may be more."""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:
            self._close()
        return bool(data)

    def _take(self, data: bytes) -> None:
        if self.account.is_full:
            # A flood: only the beginning of the last line is kept.
            self.account.drop(data.count(b"\n"))
            _, feed, rest = data.rpartition(b"\n")
            self._partial, self._is_cut = (rest, False) if feed else (b"", True)
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._say(line)
            self._is_cut = False
        if len(self._partial) > LINE_BYTES:
            self._say(self._partial)
            self._partial, self._is_cut = b"", True

    def _say(self, line: bytes) -> None:
        if self._is_cut:
            # The rest of a line whose beginning was written or dropped.
            return
        text = line[:LINE_BYTES].decode(errors="replace").rstrip("\r")
        cut = len(line) - LINE_BYTES
        self._log.line(Level.INFO, self.source, text, {"cut": True} if cut > 0 else {}, self.account)

    def _close(self) -> None:
        if self._fd < 0:
            return
        if self._is_read:
            self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        if self._partial:
            self._say(self._partial)
            self._partial = b""
