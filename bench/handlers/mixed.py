import time
from typing import Any

from jobfleet import Job, handler


@handler("noop")
def quick(job: Job[dict[str, Any]]) -> None:
    pass


@handler("slow")
def slow(job: Job[dict[str, Any]]) -> None:
    time.sleep(0.05)
