"""The measurement that most rows share: a client at full speed on an endless backlog."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from bench.client import Client, Command
from bench.engine import Engine
from bench.paths import LIMIT

Json = dict[str, Any]


@dataclass
class Figures:
    """What one client did and cost."""

    client: str
    jobs_per_s: float
    cpu_us: float
    """CPU time of the client's whole process tree per job."""
    engine_us: float
    """CPU time of the engine per job."""
    memory_mb: float | None = None
    start_s: float | None = None
    """From the start of its process to the first completed job."""
    latency_us: Json | None = None
    """From activation to completion, as the engine saw it."""

    def as_json(self) -> Json:
        """The figures that there are."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def run_client(command: Command, engine: Engine, seconds: float) -> Figures:
    """Run a client for a while."""
    engine.begin()
    with Client(command, engine) as client:

        def works(account: Json) -> bool:
            client.check()
            return int(account["completed"]) > 0

        engine.wait(works, f"{command.name} completes a job (see {client.log})", 60)
        start_s = time.monotonic() - client.started
        time.sleep(command.warm_up_s)
        began, jobs, cpu, engine_cpu = _now(client, engine)
        time.sleep(seconds)
        ended, jobs_after, cpu_after, engine_cpu_after = _now(client, engine)
        done = max(jobs_after - jobs, 1)
        return Figures(
            client=command.name,
            jobs_per_s=done / (ended - began),
            cpu_us=(cpu_after - cpu) / done * 1e6,
            engine_us=(engine_cpu_after - engine_cpu) / done * 1e6,
            memory_mb=client.tree.pss_mb(),
            start_s=start_s,
            latency_us=engine.latency()["held_us"],
        )


def run_limit(engine: Engine, seconds: float, *options: object, name: str = "bare loop") -> Figures:
    """Run the bare loop."""
    engine.begin()
    cpu = engine.tree.cpu_s()
    command = [LIMIT, "--url", engine.url, "--seconds", seconds, *options]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True, timeout=120)
    said = json.loads(done.stdout)
    if said["errors"]:
        raise RuntimeError(f"the bare loop met {said['errors']} errors")
    return Figures(
        client=name,
        jobs_per_s=said["jobs_per_s"],
        cpu_us=said["cpu_us_per_job"],
        engine_us=(engine.tree.cpu_s() - cpu) / max(engine.completed(), 1) * 1e6,
        latency_us=engine.latency()["held_us"],
    )


def median_of(rounds: list[Figures]) -> Figures:
    """The medians of several rounds of one client."""

    def middle(pick: Callable[[Figures], float | None]) -> float | None:
        values = [value for figures in rounds if (value := pick(figures)) is not None]
        return statistics.median(values) if values else None

    return Figures(
        client=rounds[0].client,
        jobs_per_s=middle(lambda figures: figures.jobs_per_s) or 0.0,
        cpu_us=middle(lambda figures: figures.cpu_us) or 0.0,
        engine_us=middle(lambda figures: figures.engine_us) or 0.0,
        memory_mb=middle(lambda figures: figures.memory_mb),
        start_s=middle(lambda figures: figures.start_s),
        latency_us=rounds[-1].latency_us,
    )


def _now(client: Client, engine: Engine) -> tuple[float, int, float, float]:
    client.check()
    return time.monotonic(), engine.completed(), client.tree.cpu_s(), engine.tree.cpu_s()
