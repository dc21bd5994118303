"""Handlers that wait until their test lets them go on; both meet in files of the fleet's folder."""

from __future__ import annotations

from tests.camunda.waiting import wait_until
from tests.supervisor.running import DEADLINE_S
from tests.system.fleet import Fleet

GATE = """
    import asyncio, os, time
    from pathlib import Path
    from jobfleet import Job, JobError, JobFailure, handler

    def arrive(job: Job) -> str:
        \"\"\"Tell that this try of the job has started; the name of the file that it waits for.\"\"\"
        tries = len(list(Path(".").glob(f"started-{job.key}-*")))
        Path(f"started-{job.key}-{tries + 1}").write_text(str(os.getpid()))
        return f"open-{job.key}-{tries + 1}"

    def gate(job: Job) -> None:
        file = arrive(job)
        while not os.path.exists(file):
            time.sleep(0.005)
"""


def wait_started(fleet: Fleet, key: str, attempt: int = 1) -> int:
    """The process in which this try of a job runs, once it does."""
    file = fleet.folder / f"started-{key}-{attempt}"
    return int(wait_until(lambda: file.exists() and file.read_text(), f"try {attempt} of job {key} runs", DEADLINE_S))


def tries(fleet: Fleet, key: str) -> int:
    """How often a job has been started."""
    return len(list(fleet.folder.glob(f"started-{key}-*")))


def let_go(fleet: Fleet, *keys: str, attempt: int = 1) -> None:
    """Open the gates that these jobs wait at."""
    for key in keys:
        (fleet.folder / f"open-{key}-{attempt}").touch()
