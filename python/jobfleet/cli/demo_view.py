"""What the demo shows: a live view on a terminal, plain lines elsewhere, and the account at the end."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from jobfleet.cli.tables import megabytes, span, spread, state_text
from jobfleet.supervisor.status import FleetStatus, PoolStatus

_PLAIN_EVERY_S: Final = 1.0
_NOTES_SHOWN: Final = 6


class View(AbstractContextManager["View"], Protocol):
    """Shows how the fleet is doing."""

    def update(self, elapsed_s: float, status: FleetStatus, account: dict[str, int], notes: list[str]) -> None:
        """Show this state."""
        ...

    def finish(self, notes: list[str]) -> None:
        """Show all notes that have not been seen."""
        ...


def open_view() -> View:
    """The view that suits where stdout goes."""
    console = Console()
    return LiveView(console) if console.is_terminal else PlainView()


class _Pace:
    """Jobs per second between two looks."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None

    def of(self, settled: int) -> float:
        """The pace since the last call."""
        now = time.monotonic()
        last, self._last = self._last, (now, settled)
        return 0.0 if last is None or now <= last[0] else (settled - last[1]) / (now - last[0])


class LiveView:
    """Redraws in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._pace = _Pace()

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, elapsed_s: float, status: FleetStatus, account: dict[str, int], notes: list[str]) -> None:
        """Redraw."""
        head = Text(f"jobfleet demo  {elapsed_s:4.1f} s   ", style="bold")
        head.append(f"{self._pace.of(settled(account)):,.0f} jobs/s   {status.totals.in_flight:,} in flight   ")
        head.append(f"{settled(account):,} of {account['created']:,} settled")
        tables = [_types(status), *(_processes(pool) for pool in status.pools)]
        self._live.update(Group(head, *tables, Text("\n".join(notes[-_NOTES_SHOWN:]))), refresh=True)

    def finish(self, notes: list[str]) -> None:
        """Leave the last picture, and all notes below it."""
        self._live.update(Text("\n".join(notes)), refresh=True)


class PlainView:
    """A line a second."""

    def __init__(self) -> None:
        self._pace = _Pace()
        self._next_s = 0.0
        self._told = 0

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def update(self, elapsed_s: float, status: FleetStatus, account: dict[str, int], notes: list[str]) -> None:
        """Print what is new."""
        self.finish(notes)
        if elapsed_s < self._next_s:
            return
        self._next_s = elapsed_s + _PLAIN_EVERY_S
        pids = [f"{process.pid} {process.state}" for pool in status.pools for process in pool.processes]
        latency = max((kind.latency_us for kind in status.types), key=lambda percentiles: percentiles.p50, default=None)
        outcomes = (
            f"completed {account['completed']:,}, errors thrown {account['errors_thrown']:,}, "
            f"failed {account['incidents']:,}"
        )
        slowest = f"slowest type p50/p99 {spread(latency)}" if latency else ""
        pace = f"{self._pace.of(settled(account)):7,.0f} jobs/s  {status.totals.in_flight:5,} in flight"
        print(f"{elapsed_s:5.1f} s  {pace}  {outcomes}  {slowest}  [{', '.join(pids)}]", flush=True)

    def finish(self, notes: list[str]) -> None:
        """Print what was not printed yet."""
        for note in notes[self._told :]:
            print(note, flush=True)
        self._told = len(notes)


def _types(status: FleetStatus) -> Table:
    """One row per job type, narrow enough for 80 columns."""
    table = _compact("type", "running", "completed", "failed", "errors", "back", "p50", "p99")
    for kind in status.types:
        counts = (kind.running, kind.completed, kind.failed, kind.errors_thrown, kind.handed_back)
        latency = (span(kind.latency_us.p50), span(kind.latency_us.p99))
        table.add_row(kind.type, *(f"{count:,}" for count in counts), *latency)
    return table


def _processes(pool: PoolStatus) -> Table:
    """One row per process."""
    table = _compact("process", "pid", "state", "busy", "jobs", "restarts", "memory")
    for process in pool.processes:
        busy, jobs, restarts = f"{process.busy}/{process.slots}", f"{process.jobs:,}", str(process.restarts)
        state, memory = state_text(process.state), megabytes(process.memory_bytes)
        table.add_row(f"worker {process.index}", str(process.pid or "-"), state, busy, jobs, restarts, memory)
    return table


def _compact(*columns: str) -> Table:
    """A table without lines, so that a terminal of 24 rows has room for everything."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def settled(account: dict[str, int]) -> int:
    """Jobs that have come to their end."""
    return account["completed"] + account["errors_thrown"] + account["incidents"]


def account_verdict(account: dict[str, int], expected: int) -> bool:
    """Print the account; whether it adds up."""
    must_be_zero = ("expired", "settled_twice", "foreign", "lost", "waiting", "in_flight")
    rows = [
        ("created", account["created"], expected),
        ("completed", account["completed"], None),
        ("error thrown", account["errors_thrown"], None),
        ("failed for good", account["incidents"], None),
        ("together", settled(account), account["created"]),
        *((name.replace("_", " "), account[name], 0) for name in must_be_zero),
        ("handed back", account["handed_back"], None),
        ("undelivered", account["undelivered"], None),
    ]
    table = Table(title="\nThe engine's account", title_justify="left")
    table.add_column("word")
    table.add_column("jobs", justify="right")
    table.add_column("must be", justify="right")
    for word, count, wanted in rows:
        style = "red" if wanted is not None and count != wanted else ""
        table.add_row(word, f"{count:,}", "" if wanted is None else f"{wanted:,}", style=style)
    console = Console()
    console.print(table)
    adds_up = all(count == wanted for _, count, wanted in rows if wanted is not None)
    console.print("The account adds up." if adds_up else "The account does not add up.", style="" if adds_up else "red")
    return adds_up
