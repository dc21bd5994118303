"""`jobfleet demo`: a fleet on the local engine for half a minute, with a crash on the way and an exact account."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from jobfleet.cli.start import complain
from jobfleet.supervisor.exits import ExitCode

# Job type, share of all jobs in percent, tries, variables.
_MIX: Final[list[tuple[str, int, int, dict[str, Any]]]] = [
    ("charge-card", 39, 3, {"orderId": "A-1", "amount": 99.5, "customer": "C-7"}),
    ("charge-card", 1, 3, {"orderId": "A-2", "amount": 25_000, "customer": "C-8"}),
    ("reserve-stock", 20, 3, {"orderId": "A-1", "items": 3}),
    ("send-mail", 25, 3, {"to": "someone@example.org"}),
    ("print-label", 14, 3, {"orderId": "A-1", "address": "1 Long Lane"}),
    ("print-label", 1, 1, {"orderId": "A-3"}),
]
_JOBS: Final = 40_000
_FEED_S: Final = 10.0
_TICK_S: Final = 0.2
_KILL_AFTER: Final = 0.5
# The whole demo, so that it ends by itself whatever happens.
_LIMIT_S: Final = 26.0


class Demo:
    """The engine, the fleet, and what is known about them."""

    def __init__(self, examples: Path, folder: Path) -> None:
        from jobfleet._core import LocalEngine  # noqa: PLC0415 - `jobfleet --help` does without

        self.engine = LocalEngine(b'{"port": 0}')
        self.engine_url = f"http://127.0.0.1:{self.engine.port}"
        self.socket = folder / "socket"
        self.log = folder / "fleet.log"
        self.notes: list[str] = []
        self.started_at = time.monotonic()
        self._killed: int | None = None
        with self.log.open("wb") as log:
            self.fleet = subprocess.Popen(  # noqa: S603 - our own program
                [
                    *[sys.executable, "-m", "jobfleet", "run", str(examples), "--name", "demo", "--grace", "5s"],
                    *["--engine", f"camunda+{self.engine_url}", "--socket", str(self.socket), "--processes", "4"],
                ],
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started_at

    def account(self) -> dict[str, int]:
        """The engine's account."""
        import msgspec  # noqa: PLC0415

        return msgspec.json.decode(self.engine.account(), type=dict[str, int])

    def status(self) -> Any:
        """The fleet's status; None while it does not listen."""
        import httpx  # noqa: PLC0415

        from jobfleet.cli.client import connect  # noqa: PLC0415
        from jobfleet.supervisor.status import read_fleet_status  # noqa: PLC0415

        try:
            with connect(self.socket) as client:
                return read_fleet_status(client.get("/v1/status").raise_for_status().content)
        except httpx.HTTPError:
            return None

    def feed(self) -> None:
        """Give all jobs to the engine, evenly over `_FEED_S`. Runs in a thread of its own."""
        import httpx  # noqa: PLC0415

        ticks = round(_FEED_S / _TICK_S)
        with httpx.Client(base_url=self.engine_url, timeout=10) as client:
            begun = time.monotonic()
            for tick in range(ticks):
                for job_type, percent, retries, variables in _MIX:
                    count = _JOBS * percent // 100 // ticks
                    body = {"type": job_type, "count": count, "variables": variables, "retries": retries}
                    client.post("/local/jobs", json=body).raise_for_status()
                time.sleep(max(0.0, begun + (tick + 1) * _TICK_S - time.monotonic()))

    def listen(self) -> None:
        """Note what the fleet tells of its workers. Runs in a thread of its own."""
        import httpx  # noqa: PLC0415
        import msgspec  # noqa: PLC0415

        from jobfleet.cli.client import connect  # noqa: PLC0415

        try:
            with connect(self.socket) as client, client.stream("GET", "/v1/events", timeout=None) as events:
                for line in events.iter_lines():
                    self._hear(msgspec.json.decode(line))
        except httpx.HTTPError:
            return

    def kill_busiest(self, status: Any) -> None:
        """Kill the worker process that has done most."""
        ready = [process for pool in status.pools for process in pool.processes if process.state == "ready"]
        if ready and self._killed is None:
            victim = max(ready, key=lambda process: (process.busy, process.jobs))
            self._killed = victim.pid
            os.kill(victim.pid, signal.SIGKILL)
            self._note(f"the demo kills worker {victim.index}, process {victim.pid}, with SIGKILL")

    @property
    def is_settled(self) -> bool:
        """Whether every job has come to its end."""
        account = self.account()
        return account["created"] >= _JOBS and account["waiting"] == 0 and account["in_flight"] == 0

    def _hear(self, event: dict[str, Any]) -> None:
        back, other = event.get("handed_back", 0), event.get("requeued", 0)
        if event["event"] == "worker_buried" and back + other:
            self._note(f"{event['reason']}: {back} started jobs back to the engine, {other} waiting to others")
        elif event["event"] == "worker_ready" and self._killed is not None:
            self._note(f"worker {event['index']} is replaced by process {event['pid']} after {event['after_ms']} ms")
        elif event["event"] == "fleet_draining":
            self._note("every job has come to its end; the fleet drains")

    def _note(self, text: str) -> None:
        self.notes.append(f"{self.elapsed_s:5.1f} s  {text}")


def demo(
    examples: Annotated[Path, typer.Argument(help="Handlers to run.")] = Path("examples"),
) -> None:
    """Show a fleet at work: feed it jobs of several types, kill one of its workers, and check the account."""
    from jobfleet.cli.demo_view import account_verdict, open_view  # noqa: PLC0415

    if not examples.exists():
        complain(f"{examples} does not exist; run this in a clone of jobfleet, or name a folder of handlers")
        raise typer.Exit(ExitCode.USAGE)
    with tempfile.TemporaryDirectory(prefix="jobfleet-demo-") as folder:
        show = Demo(examples, Path(folder))
        try:
            with open_view() as view:
                _watch(show, view)
                code = _stop(show)
                view.finish(show.notes)
            verdict = account_verdict(show.account(), _JOBS)
            replaced = any("is replaced by" in note for note in show.notes)
        finally:
            show.fleet.kill()
            show.engine.stop()
        if code != 0:
            complain(f"the fleet ended with status {code}; the end of its log:")
            sys.stderr.write(show.log.read_text(errors="replace")[-4000:])
    if not replaced:
        complain("no worker was killed and replaced within the time of the demo")
    raise typer.Exit(ExitCode.OK if verdict and replaced and code == 0 else ExitCode.FAILED)


def _watch(show: Demo, view: Any) -> None:
    """Until all jobs are settled, or the time is over."""
    threads: list[threading.Thread] = []
    while show.fleet.poll() is None and show.elapsed_s < _LIMIT_S:
        status = show.status()
        if status is not None and status.fleet.state == "running":
            if not threads:
                threads = [threading.Thread(target=work, daemon=True) for work in (show.listen, show.feed)]
                for thread in threads:
                    thread.start()
            account = show.account()
            if account["created"] >= _JOBS * _KILL_AFTER:
                show.kill_busiest(status)
            view.update(show.elapsed_s, status, account, show.notes)
            if show.is_settled:
                return
        time.sleep(_TICK_S)


def _stop(show: Demo) -> int:
    show.fleet.send_signal(signal.SIGTERM)
    try:
        return show.fleet.wait(_LIMIT_S + 3 - min(show.elapsed_s, _LIMIT_S))
    except subprocess.TimeoutExpired:
        return ExitCode.FAILED
