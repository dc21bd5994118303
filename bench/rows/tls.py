"""What TLS costs: HTTP/1.1 over it against cleartext, and HTTP/2 as the two sides agree on it by themselves."""

import tempfile
from pathlib import Path

from bench.bench import Bench
from bench.engine import Engine
from bench.pki import Pki
from bench.report import Mark

ROW = "TLS"


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    pki = Pki()
    with tempfile.TemporaryDirectory(prefix="jf-bench-") as folder, Engine(pki) as secure:
        secure.endless("noop")
        trust = pki.fleet_env(Path(folder))
        plain, over_tls, agreed = bench.alternate(
            bench.fleet("noop", 2, "jobfleet, HTTP/1.1"),
            bench.fleet("noop", 2, "jobfleet, HTTP/1.1, TLS", trust | {"JOBFLEET_ENGINE_HTTP2": "never"}, secure),
            bench.fleet("noop", 2, "jobfleet, HTTP/2, TLS", trust, secure),
        )
    for figures in (plain, over_tls, agreed):
        bench.report.add(ROW, figures)
    for protocol, figures in (("HTTP/1.1", over_tls), ("HTTP/2", agreed)):
        text = f"cost of TLS, {protocol} over it against HTTP/1.1 over cleartext"
        bench.report.mark(Mark(f"{text}: CPU per job", figures.cpu_us / plain.cpu_us, "x"))
        bench.report.mark(Mark("the same: CPU per job, difference", figures.cpu_us - plain.cpu_us, "µs"))
        bench.report.mark(Mark("the same: jobs/s", figures.jobs_per_s / plain.jobs_per_s, "x"))
