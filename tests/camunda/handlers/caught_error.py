"""Throws the error that caught_error.bpmn catches, and works on what follows it."""

import os
from typing import Any

from jobfleet import Job, JobError, handler

PROCESS = os.environ["TEST_PROCESS"]


@handler(f"{PROCESS}-charge")
def charge(job: Job[dict[str, Any]]) -> dict[str, object]:
    if job.variables["amount"] > 100:
        raise JobError("AMOUNT_TOO_HIGH", "needs approval", {"limit": 100})
    return {"charged": True}


@handler(f"{PROCESS}-approve")
def approve(job: Job[dict[str, Any]]) -> dict[str, object]:
    return {"approved": True}
