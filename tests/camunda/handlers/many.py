"""One handler for each task of a chain: every one adds its number to the variables."""

import os

import msgspec
from jobfleet import Job, handler

PROCESS = os.environ["TEST_PROCESS"]


class Seen(msgspec.Struct):
    seen: list[int] = []


def register(number: int) -> None:
    @handler(f"{PROCESS}-{number}")
    def add(job: Job[Seen]) -> dict[str, object]:
        return {"seen": [*job.variables.seen, number]}


for each in range(int(os.environ["TEST_TYPES"])):
    register(each)
