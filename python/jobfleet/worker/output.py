"""`print` inside of a handler becomes a log record of its job."""

import contextlib
import io
import logging
import sys
from typing import Any, TextIO

from jobfleet.worker.current import running_job
from jobfleet.worker.records import LONGEST_LINE_BYTES, LaneContext

_PARTIAL_LINES = 64
"""Jobs that may have printed the beginning of a line; the oldest is written out when there are more."""


class JobStream(io.TextIOBase):
    """Stands in for `sys.stdout` or `sys.stderr`: lines of a job go over the link, all else to the descriptor."""

    def __init__(self, below: TextIO, name: str) -> None:
        self._below = below
        self._name = name
        self._partial: dict[tuple[LaneContext, int], str] = {}
        self._attributes = True

    def write(self, text: str, /) -> int:
        """Write `text`; whole lines are attributed to the running job."""
        job = running_job() if self._attributes else None
        context = None if job is None else job._context
        if job is None or not isinstance(context, LaneContext):
            self._below.write(text)
            if "\n" in text:
                self._below.flush()
            return len(text)
        *lines, rest = (self._partial.pop((context, job._number), "") + text).split("\n")
        for line in lines:
            self._print(context, job._number, line)
        if rest:
            self._partial[context, job._number] = rest[:LONGEST_LINE_BYTES]
            if len(self._partial) > _PARTIAL_LINES:
                self._print_oldest()
        return len(text)

    def finish(self) -> None:
        """Write out lines that were begun and never ended."""
        while self._partial:
            self._print_oldest()
        self.flush()

    def detach_jobs(self) -> None:
        """Stop to attribute: this process is a child that a handler forked, without a link."""
        self._attributes = False
        self._partial.clear()

    def flush(self) -> None:
        """Flush the descriptor's buffer; a line of a job that is not complete yet stays."""
        with contextlib.suppress(ValueError, OSError):
            self._below.flush()

    def writable(self) -> bool:
        """True."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream below."""
        return self._below.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """How the stream below treats what it cannot encode."""
        return self._below.errors

    def isatty(self) -> bool:
        """Whatever the descriptor is."""
        return self._below.isatty()

    def fileno(self) -> int:
        """The descriptor below, which is not attributed to jobs."""
        return self._below.fileno()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)

    def _print_oldest(self) -> None:
        with contextlib.suppress(KeyError, StopIteration):
            context, number = next(iter(self._partial))
            self._print(context, number, self._partial.pop((context, number)))

    def _print(self, context: LaneContext, number: int, line: str) -> None:
        context.printed(number, logging.INFO, line, self._name)


def attribute_output() -> None:
    """Replace `sys.stdout` and `sys.stderr`. Done before handlers are imported: logging keeps what it finds then."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, JobStream(stream, name))


def finish_output() -> None:
    """Write out everything that is still buffered."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, JobStream):
            stream.finish()
        elif stream is not None:
            with contextlib.suppress(ValueError, OSError):
                stream.flush()


def detach_output() -> None:
    """In a child that a handler forked: output is no longer attributed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, JobStream):
            stream.detach_jobs()
