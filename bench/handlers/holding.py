import asyncio
from typing import Any

from jobfleet import Job, handler


@handler("noop", lease="10s", slots=1000)
async def holding(job: Job[dict[str, Any]]) -> None:
    await asyncio.sleep(3600)
