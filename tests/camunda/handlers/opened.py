"""Work that waits on the loop until the test opens the gate, with a lease of TEST_LEASE."""

import asyncio
import os
from pathlib import Path
from typing import Any

from jobfleet import Job, handler

PROCESS = os.environ["TEST_PROCESS"]
DIRECTORY = Path(os.environ["TEST_DIR"])


@handler(f"{PROCESS}-work", lease=os.environ["TEST_LEASE"], hold="500ms")
async def work(job: Job[dict[str, Any]]) -> dict[str, object]:
    # Nothing announces a file.
    while not (DIRECTORY / "open").exists():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return {"done": True}
