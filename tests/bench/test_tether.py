"""A bench that is killed leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys

import psutil

from bench.paths import ROOT
from tests.supervisor.running import wait_gone

MEASURE = """
import time
from bench.client import Client, Command

class Nowhere:
    url = ""

with Client(Command("sleeper", ["sleep", "600"]), Nowhere()) as client:
    print(client.pid, flush=True)
    time.sleep(600)
"""


def test_client_of_a_bench_that_is_killed_ends() -> None:
    bench = subprocess.Popen([sys.executable, "-c", MEASURE], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert bench.stdout is not None
    with bench.stdout:
        client = int(bench.stdout.readline())
    assert psutil.pid_exists(client)
    bench.kill()
    bench.wait()
    assert wait_gone(client), "the client outlives its bench"
