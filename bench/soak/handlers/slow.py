"""Long enough that leases are renewed, and that a kill mostly hits a running job."""

import random
import time
from typing import Any

from jobfleet import Job, handler


@handler("soak-slow", lease="4s")
def slow(job: Job) -> dict[str, Any]:
    """Up to three seconds, over half of its lease."""
    time.sleep(random.choice((0.02, 0.1, 0.3, 3.0)))
    return {"retries": job.retries}
