"""Work that waits for the test, then ends as its variables say."""

import os
import time
from pathlib import Path
from typing import Any

from jobfleet import Job, JobFailure, handler

PROCESS = os.environ["TEST_PROCESS"]
DIRECTORY = Path(os.environ["TEST_DIR"])


@handler(f"{PROCESS}-work", lease=os.environ.get("TEST_LEASE", "3s"), hold="500ms")
def work(job: Job[dict[str, Any]]) -> dict[str, object]:
    with (DIRECTORY / "started").open("a") as started:
        started.write(f"{job.key} {job.retries}\n")
    while not (DIRECTORY / "open").exists():
        time.sleep(0.01)
    if job.variables.get("fails") and job.retries > 1:
        raise JobFailure("once", backoff="2s")
    return {"done": True}
