"""Threads and tasks in one process, and handlers that fail on purpose."""

import asyncio
import random
import time
from typing import Any

from jobfleet import Job, JobError, handler


@handler("soak-thread", slots=4, lease="10s")
def thread(job: Job) -> dict[str, Any]:
    """A few milliseconds in a thread."""
    time.sleep(random.uniform(0.001, 0.02))
    return {"done": True}


@handler("soak-task", slots=16, lease="10s")
async def task(job: Job) -> dict[str, Any]:
    """A few milliseconds on the loop."""
    await asyncio.sleep(random.uniform(0.001, 0.05))
    return {"done": True}


@handler("soak-error", slots=2, lease="10s")
def error(job: Job) -> None:
    """A BPMN error."""
    raise JobError("SOAK", "on purpose")


@handler("soak-failure", slots=2, lease="10s")
def failure(job: Job) -> None:
    """Fails as long as it has retries."""
    raise RuntimeError("on purpose")


@handler("soak-endless", slots=2, lease="10s", time_limit="200ms")
def endless(job: Job) -> None:
    """Runs into its time limit."""
    while True:
        time.sleep(0.01)
