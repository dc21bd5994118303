"""Work that has nothing to wait for, with a lease so long that only a hand-back brings a job to others in time."""

import os
from typing import Any

from jobfleet import Job, handler

PROCESS = os.environ["TEST_PROCESS"]


@handler(f"{PROCESS}-work", lease="10m", hold="2s")
def work(job: Job[dict[str, Any]]) -> dict[str, object]:
    return {"worker": job.worker}
