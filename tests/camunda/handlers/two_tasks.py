"""The work of two_tasks.bpmn; the test takes the task after it."""

import os

import msgspec
from jobfleet import Job, handler

PROCESS = os.environ["TEST_PROCESS"]


class Order(msgspec.Struct):
    order: int


@handler(f"{PROCESS}-work")
def work(job: Job[Order]) -> dict[str, object]:
    return {"doubled": 2 * job.variables.order, "colour": job.custom_headers["colour"], "pid": os.getpid()}
