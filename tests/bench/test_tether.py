"""A bench that is killed leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

from bench.paths import ROOT

MEASURE = """
import time
from bench.client import Client, Command

class Nowhere:
    url = ""

with Client(Command("sleeper", ["sleep", "600"]), Nowhere()) as client:
    print(client.pid, flush=True)
    time.sleep(600)
"""


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_client_of_a_bench_that_is_killed_ends() -> None:
    bench = subprocess.Popen([sys.executable, "-c", MEASURE], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert bench.stdout is not None
    with bench.stdout:
        client = int(bench.stdout.readline())
    assert not is_gone(client)
    bench.kill()
    bench.wait()
    end = time.monotonic() + 30
    while not is_gone(client):
        assert time.monotonic() < end, "the client outlives its bench"
        time.sleep(0.02)
