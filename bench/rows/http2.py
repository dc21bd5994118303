"""HTTP/2 over cleartext, many requests on one connection, against HTTP/1.1."""

from bench.bench import Bench
from bench.report import Mark

ROW = "HTTP/2"


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    plain, shared = bench.alternate(
        bench.fleet("noop", 2, "jobfleet, HTTP/1.1"),
        bench.fleet("noop", 2, "jobfleet, HTTP/2", {"JOBFLEET_ENGINE_HTTP2": "always"}),
    )
    for figures in (plain, shared):
        bench.report.add(ROW, figures)
    rate, cost = shared.jobs_per_s / plain.jobs_per_s, shared.cpu_us / plain.cpu_us
    bench.report.mark(Mark("HTTP/2 over cleartext: jobs/s against HTTP/1.1", rate, "x", at_least=1.4))
    bench.report.mark(Mark("HTTP/2 over cleartext: CPU per job against HTTP/1.1", cost, "x", at_most=0.8))
