"""One job at a time: the way of a job through a fleet that has nothing else to do, after a pause and without one."""

import http.client
import json
import time
from urllib.parse import urlsplit

from bench.bench import Bench
from bench.echo import round_trip_us
from bench.engine import PAYLOAD, Json
from bench.fleet import Fleet
from bench.report import Mark

JOBS = 300
PAUSE_S = 0.005


def run(bench: Bench) -> None:
    report = bench.report
    with Fleet(bench.engine, "noop", 2) as fleet:
        fleet.wait_ready()
        _push(bench.engine.url)
        bench.engine.wait(lambda account: account["completed"] >= JOBS, "all jobs are completed", 10)
        seen = fleet.type("noop")
    available = bench.engine.latency()["available_us"]["p50"] / 1000
    text = "one job: available to completed at the engine, median"
    report.mark(Mark(text, available, "ms", at_most=1, stretch=0.5))
    report.mark(Mark("the same: received to handler's end, median", _inside(seen), "µs"))
    report.mark(Mark("the same: received to outcome answered, median", seen["latency_us"]["p50"], "µs"))
    bench.engine.endless("noop")
    with Fleet(bench.engine, "noop", 2, env={"JOBFLEET_DEFAULTS_MAX_JOBS": "1"}) as fleet:
        fleet.wait_ready()
        time.sleep(bench.seconds)
        seen = fleet.type("noop")
    text = "one job after the other: received to handler's end, median"
    report.mark(Mark(text, _inside(seen), "µs", at_most=100, stretch=50))
    # Whoever passes a job to a sleeping process, and sleeps until it is done, waits for the host this long at least.
    text = "a byte to a sleeping process and back on this host, median"
    report.mark(Mark(text, round_trip_us(JOBS), "µs"))


def _inside(seen: Json) -> float:
    """From the answer that brought the job to the core's receipt of its outcome."""
    return float(seen["wait_us"]["p50"] + seen["run_us"]["p50"])


def _push(url: str) -> None:
    """Add the jobs, and sleep while each is done: who looked for its end all the time would keep a processor busy that
    the fleet needs, and measure that."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    body = json.dumps({"type": "noop", "count": 1, "variables": PAYLOAD})
    for _ in range(JOBS):
        connection.request("POST", "/local/jobs", body, {"content-type": "application/json"})
        time.sleep(PAUSE_S)
        connection.getresponse().read()
    connection.close()
