import asyncio
from typing import Any

from jobfleet import Job, handler


@handler("noop", slots=16)
async def sleeping(job: Job[dict[str, Any]]) -> None:
    await asyncio.sleep(0.02)
