"""Camunda's Python SDK: one async worker that completes every job at once."""

import asyncio
import sys

from camunda_orchestration_sdk import CamundaAsyncClient
from camunda_orchestration_sdk.runtime.job_worker import WorkerConfig


async def main(url: str, job_type: str, concurrent: int) -> None:
    config = {"CAMUNDA_REST_ADDRESS": url, "CAMUNDA_AUTH_STRATEGY": "NONE", "CAMUNDA_SDK_LOG_LEVEL": "error"}
    async with CamundaAsyncClient(configuration=config) as client:
        worker = WorkerConfig(job_type=job_type, job_timeout_milliseconds=60_000, max_concurrent_jobs=concurrent)

        async def complete(job: object) -> dict[str, object]:
            return {}

        client.create_job_worker(config=worker, callback=complete, execution_strategy="async")
        await client.run_workers()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
