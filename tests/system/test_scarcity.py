"""A fleet with few descriptors, and one whose output nobody reads."""

from __future__ import annotations

import os
import signal

from .conftest import StartFleet
from .engine import Engine

FLOOD = """
    import os, sys
    from jobfleet import Job, handler

    LINE = "x" * 1000

    @handler("flood")
    def flood(job: Job) -> dict:
        for _ in range(200):
            print(LINE)
            job.log.info(LINE, line=LINE)
        return {}

    @handler("flood-raw")
    def flood_raw(job: Job) -> dict:
        for _ in range(200):
            os.write(1, LINE.encode() + b"\\n")
        return {}

    @handler("noop", slots=4)
    def noop(job: Job) -> dict:
        return {}
"""


def test_jobs_flow_while_nobody_reads_the_output(run_fleet: StartFleet, engine: Engine) -> None:
    reader, writer = os.pipe()
    try:
        fleet = run_fleet(FLOOD, "--processes", "2", output=writer)
        engine.push("flood", 20)
        engine.push("flood-raw", 20)
        engine.push("noop", 2000)
        assert engine.wait_settled()["completed"] == 2040
        fleet.wait_ready(2)
        engine.push("noop", 10)
        assert engine.wait_settled()["completed"] == 2050
        fleet.signal(signal.SIGTERM)
        assert fleet.wait_exit() == 0
    finally:
        os.close(reader)
        os.close(writer)
