"""The task of listener.bpmn and the execution listener before it."""

import os
from typing import Any

import msgspec
from jobfleet import Job, JobError, handler

PROCESS = os.environ["TEST_PROCESS"]


class Fetched(msgspec.Struct, rename="camel"):
    """Of all variables only these are fetched, and `absent` is none of them."""

    wanted_one: int
    listened: str = ""
    absent: str = "absent"


@handler(f"{PROCESS}-listen")
def listen(job: Job[dict[str, Any]]) -> dict[str, object]:
    if job.variables.get("throws"):
        raise JobError("NOT_HERE", "listeners cannot")
    return {"listened": job.key}


@handler(f"{PROCESS}-work", tenants=["<default>"])
def work(job: Job[Fetched]) -> dict[str, object]:
    variables = job.variables
    return {
        "wanted": variables.wanted_one,
        "absent": variables.absent,
        "tenant": job.tenant_id,
        "after": variables.listened,
    }
