"""A real Camunda 8.6.0: jobfleet and the Java client work off the same jobs in turns."""

from __future__ import annotations

import shutil
import time

from bench.bench import Bench
from bench.client import Client, Command
from bench.fleet import Fleet
from bench.measure import Figures, median_of
from bench.peers import JAVA_FOR_8_6
from bench.real import RealEngine
from bench.report import Mark

ROW = "real Camunda"
JOBS = 4000
WARM, END = 0.3, 0.95
"""The part of the jobs that is measured: what comes before warms the client up, what comes after runs dry."""
_DEADLINE_S = 120
# A look at the engine's metrics costs it some milliseconds.
_LOOK_EVERY_S = 0.2


def run(bench: Bench) -> None:
    with RealEngine() as engine:
        # It keeps the folder of its socket for as long as it lives.
        fleet = Fleet(bench.engine, "noop", 2, "jobfleet, 2 processes")
        commands = [fleet.command]
        if shutil.which(JAVA_FOR_8_6.needs) is None:
            bench.report.leave_out(JAVA_FOR_8_6.name, f"{JAVA_FOR_8_6.needs} is not installed")
        else:
            commands.append(JAVA_FOR_8_6.build())
        # The engine's own compiler needs some thousand jobs until it has seen enough.
        _work_off(fleet.command, engine)
        rounds = [[_work_off(command, engine) for command in commands] for _ in range(2)]
    figures = [median_of(list(column)) for column in zip(*rounds, strict=True)]
    for one in figures:
        bench.report.add(ROW, one)
    _marks(bench, figures)


def _marks(bench: Bench, figures: list[Figures]) -> None:
    report = bench.report
    for one in figures:
        # All processor time that the jobs took is either the engine's or the client's: at 1 only the engine limits.
        share = one.engine_us / (one.engine_us + one.cpu_us)
        report.mark(Mark(f"real Camunda, {one.client}: engine-limited share", share))
    if len(figures) == 2:
        ours, theirs = figures
        report.mark(Mark("the same: jobs/s against the Java client", ours.jobs_per_s / theirs.jobs_per_s, "x"))
        report.mark(Mark("the same: the client's CPU per job against it", ours.cpu_us / theirs.cpu_us, "x"))


def _work_off(command: Command, engine: RealEngine) -> Figures:
    """Let a client complete all jobs that are created before it starts."""
    before = engine.completed()
    engine.push(JOBS)
    with Client(command, engine) as client:
        began = _reach(client, engine, before + round(JOBS * WARM))
        ended = _reach(client, engine, before + round(JOBS * END))
        memory = client.tree.pss_mb()
        _reach(client, engine, before + JOBS)
    seconds, done, cpu_s, engine_s = (after - first for first, after in zip(began, ended, strict=True))
    return Figures(command.name, done / seconds, cpu_s / done * 1e6, engine_s / done * 1e6, memory)


def _reach(client: Client, engine: RealEngine, completed: int) -> tuple[float, int, float, float]:
    """Wait for so many completed jobs: the time, how many there are, and what client and engine have used."""
    end = time.monotonic() + _DEADLINE_S
    while (done := engine.completed()) < completed:
        client.check()
        if time.monotonic() > end:
            raise TimeoutError(f"{client.command.name} completed {done} of {completed} jobs (see {client.log})")
        time.sleep(_LOOK_EVERY_S)
    return time.monotonic(), done, client.tree.cpu_s(), engine.tree.cpu_s()
