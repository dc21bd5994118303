"""Both tasks of two_tasks.bpmn, by handlers of the other two kinds."""

import asyncio
import os
import threading
from typing import Any

from jobfleet import Job, handler

PROCESS = os.environ["TEST_PROCESS"]


@handler(f"{PROCESS}-work", slots=2)
def in_a_thread(job: Job[dict[str, Any]]) -> dict[str, object]:
    return {"work": threading.current_thread() is not threading.main_thread()}


@handler(f"{PROCESS}-after")
async def on_the_loop(job: Job[dict[str, Any]]) -> dict[str, object]:
    await asyncio.sleep(0)
    return {"after": job.variables["work"]}
