"""Work that fails until the test has mended its cause."""

import os
from pathlib import Path
from typing import Any

from jobfleet import Job, handler

PROCESS = os.environ["TEST_PROCESS"]
DIRECTORY = Path(os.environ["TEST_DIR"])


@handler(f"{PROCESS}-work")
def work(job: Job[dict[str, Any]]) -> dict[str, object]:
    if (DIRECTORY / "mended").exists():
        return {"mended": True}
    with (DIRECTORY / "attempts").open("a") as attempts:
        attempts.write(f"{job.key} {job.retries}\n")
    raise ValueError("the cause is not mended")
