"""Work that waits for ever the first time, so that the test can kill its worker in the middle of it."""

import os
import threading
from pathlib import Path
from typing import Any

from jobfleet import Job, handler

PROCESS = os.environ["TEST_PROCESS"]
DIRECTORY = Path(os.environ["TEST_DIR"])


@handler(f"{PROCESS}-work", lease="10m")
def work(job: Job[dict[str, Any]]) -> dict[str, object]:
    started = DIRECTORY / "started"
    if not started.exists():
        scratch = DIRECTORY / "started.new"
        scratch.write_text(f"{os.getpid()} {job.key} {job.retries}")
        scratch.rename(started)
        threading.Event().wait()
    return {"pid": os.getpid(), "key": job.key, "retries": job.retries}
