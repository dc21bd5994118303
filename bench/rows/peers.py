"""The peers at their best settings, against jobfleet in the same run."""

from __future__ import annotations

import shutil

from bench.bench import Bench
from bench.measure import run_client
from bench.peers import PEERS_IN_ORDER
from bench.report import Mark

ROW = "peers"


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    (fleet,) = bench.alternate(bench.fleet("noop", 2, "jobfleet, 2 processes"))
    bench.report.add(ROW, fleet)
    for peer in PEERS_IN_ORDER:
        if shutil.which(peer.needs) is None:
            bench.report.leave_out(peer.name, f"{peer.needs} is not installed")
            continue
        try:
            command = peer.build()
        except RuntimeError as error:
            bench.report.leave_out(peer.name, str(error))
            continue
        figures = bench.report.add(ROW, run_client(command, bench.engine, bench.seconds))
        ratio = fleet.jobs_per_s / figures.jobs_per_s
        bench.report.mark(Mark(f"jobs/s against the {peer.name}", ratio, "x", at_least=peer.at_least))
