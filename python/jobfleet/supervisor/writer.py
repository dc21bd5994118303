"""One thread writes the supervisor's stderr, so that a blocked terminal or journal stops nothing else."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Final

# What one source may have waiting; beyond it lines are dropped and counted.
BUDGET_BYTES: Final = 1 << 20
# One write carries at most this much, so that a pipe of the default size takes it in one go.
_BATCH_BYTES: Final = 1 << 16


class Account:
    """What one source has waiting in the writer, and how many of its lines were dropped."""

    __slots__ = ("dropped", "dropped_total", "pending_bytes")

    def __init__(self) -> None:
        self.pending_bytes = 0
        self.dropped = 0
        self.dropped_total = 0

    def drop(self, lines: int) -> None:
        """Count lines that are not written."""
        self.dropped += lines
        self.dropped_total += lines

    @property
    def is_full(self) -> bool:
        """Whether further lines would be dropped."""
        return self.pending_bytes >= BUDGET_BYTES


class Writer:
    """A bounded ring of lines and the thread that writes it."""

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        self._ring: deque[tuple[bytes, Account]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._idle = True
        self._thread: threading.Thread | None = None

    def put(self, line: bytes, account: Account) -> bool:
        """Queue one line with its line feed; False when it was dropped. Never blocks on the descriptor."""
        with self._changed:
            if account.pending_bytes + len(line) > BUDGET_BYTES:
                account.drop(1)
                return False
            account.pending_bytes += len(line)
            self._ring.append((line, account))
            if self._thread is None:
                # Started by the first line and not before: a thread has no place in a process that still sets up.
                self._thread = threading.Thread(target=self._write_all, name="jobfleet-stderr", daemon=True)
                self._thread.start()
            if self._idle:
                self._changed.notify_all()
        return True

    def close(self, timeout_s: float = 1.0) -> bool:
        """Write what waits; False when the descriptor does not take it in time and the rest is lost."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def _write_all(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                return
            self._write(b"".join(line for line, _ in batch))
            with self._changed:
                for line, account in batch:
                    account.pending_bytes -= len(line)

    def _next_batch(self) -> list[tuple[bytes, Account]]:
        """Lines for one write; empty at the end."""
        batch: list[tuple[bytes, Account]] = []
        size = 0
        with self._changed:
            while not self._ring and not self._closing:
                self._idle = True
                self._changed.wait()
            self._idle = False
            while self._ring and (not batch or size + len(self._ring[0][0]) <= _BATCH_BYTES):
                batch.append(self._ring.popleft())
                size += len(batch[-1][0])
        return batch

    def _write(self, data: bytes) -> None:
        """Write all of it, or nothing more when nobody reads any longer."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                # Someone made the shared descriptor non-blocking.
                _wait_writable(self._fd)
            except OSError:
                return


def _wait_writable(fd: int) -> None:
    import select  # noqa: PLC0415 - a rare case

    select.select([], [fd], [])
