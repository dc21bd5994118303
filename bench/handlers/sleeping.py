import time
from typing import Any

from jobfleet import Job, handler


@handler("noop")
def sleeping(job: Job[dict[str, Any]]) -> None:
    time.sleep(0.02)
