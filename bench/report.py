"""Rows, marks, the table and the JSON beside it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.measure import Figures
from bench.paths import RESULTS

Json = dict[str, Any]


@dataclass
class Mark:
    """One figure and what it must be."""

    text: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    stretch: float | None = None

    @property
    def verdict(self) -> str:
        """`stretch`, `met` or `MISSED`; `shown` where nothing is asked."""
        if self.at_least is None and self.at_most is None:
            return "shown"
        if self.stretch is not None and self._reaches(self.stretch):
            return "stretch"
        wanted = self.at_least if self.at_least is not None else self.at_most
        assert wanted is not None
        return "met" if self._reaches(wanted) else "MISSED"

    def _reaches(self, bound: float) -> bool:
        return self.value >= bound if self.at_least is not None else self.value <= bound

    @property
    def wanted(self) -> str:
        """The bound as a text."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"

    def as_json(self) -> Json:
        """Everything, for later runs to compare with."""
        return {
            "text": self.text,
            "value": self.value,
            "unit": self.unit,
            "wanted": self.wanted,
            "stretch": self.stretch,
            "verdict": self.verdict,
        }


@dataclass
class Report:
    """What was measured so far."""

    machine: Json
    figures: list[tuple[str, Figures]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, row: str, figures: Figures) -> Figures:
        """Add the figures of one client to a row, and say them at once."""
        self.figures.append((row, figures))
        print(f"  {figures.client:<34}{figures.jobs_per_s:>10,.0f} jobs/s{figures.cpu_us:>10,.1f} µs/job", flush=True)
        return figures

    def mark(self, mark: Mark) -> None:
        """Add a mark, and say it at once."""
        self.marks.append(mark)
        print(f"  {mark.text}: {mark.value:,.3g} {mark.unit} {mark.wanted} {mark.verdict}", flush=True)

    def leave_out(self, what: str, why: str) -> None:
        """Name something that could not be measured."""
        self.left_out.append(f"{what}: {why}")
        print(f"  {what} is left out: {why}", flush=True)

    def figure_of(self, row: str, client: str) -> Figures | None:
        """The figures of a client in an earlier row."""
        return next((one for name, one in self.figures if (name, one.client) == (row, client)), None)

    def print(self) -> None:
        """Print both tables."""
        console = Console(width=150, highlight=False)
        console.print(self._figures_table())
        console.print(self._marks_table())
        for line in self.left_out:
            console.print(f"left out: {line}")

    def save(self) -> None:
        """Write everything as JSON, named by the time."""
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
        content = {
            "machine": self.machine,
            "figures": [{"row": row, **figures.as_json()} for row, figures in self.figures],
            "marks": [mark.as_json() for mark in self.marks],
            "left_out": self.left_out,
        }
        path.write_text(json.dumps(content, indent=2), encoding="utf-8")
        print(f"results: {path}")

    def _figures_table(self) -> Table:
        table = Table("row", "client", title="Figures", title_justify="left")
        for heading in ("jobs/s", "CPU µs/job", "engine µs/job", "PSS MB", "start s", "p50 / p90 / p99 µs"):
            table.add_column(heading, justify="right")
        for row, figures in self.figures:
            latency = figures.latency_us
            table.add_row(
                row,
                figures.client,
                f"{figures.jobs_per_s:,.0f}",
                f"{figures.cpu_us:,.1f}",
                f"{figures.engine_us:,.1f}",
                "-" if figures.memory_mb is None else f"{figures.memory_mb:,.0f}",
                "-" if figures.start_s is None else f"{figures.start_s:.2f}",
                "-" if not latency else " / ".join(f"{latency[q]:,.0f}" for q in ("p50", "p90", "p99")),
            )
        return table

    def _marks_table(self) -> Table:
        table = Table("mark", title="Marks", title_justify="left")
        for heading in ("value", "must", "stretch", ""):
            table.add_column(heading, justify="right")
        for mark in self.marks:
            stretch = "" if mark.stretch is None else f"{mark.stretch:g}"
            table.add_row(mark.text, f"{mark.value:,.3g} {mark.unit}".strip(), mark.wanted, stretch, mark.verdict)
        return table
