"""What every row gets: the engine, the report, and how much time it may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.engine import Engine
from bench.fleet import Fleet
from bench.measure import Figures, median_of, run_limit
from bench.report import Report


@dataclass
class Bench:
    """One run of the benchmarks."""

    engine: Engine
    report: Report
    seconds: float
    """How long one measurement counts."""
    rounds: int
    """How often the measurements that the main marks compare alternate."""

    def limit(self, *options: object, name: str = "bare loop") -> Figures:
        """Measure the bare loop."""
        return run_limit(self.engine, self.seconds, *options, name=name)

    def fleet(
        self,
        handlers: str,
        processes: int,
        name: str = "",
        env: Mapping[str, str] | None = None,
        engine: Engine | None = None,
    ) -> Callable[[], Figures]:
        """A measurement of a fleet at full speed, to be made later; on the run's engine, unless another is given."""
        return lambda: Fleet(engine or self.engine, handlers, processes, name, env).figures(self.seconds)

    def alternate(self, *measures: Callable[[], Figures]) -> list[Figures]:
        """Measure several clients in turns, so that a slow minute of the machine meets all; the medians."""
        rounds = [[measure() for measure in measures] for _ in range(self.rounds)]
        return [median_of(list(column)) for column in zip(*rounds, strict=True)]
