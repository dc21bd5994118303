"""An async handler: many jobs wait at once on one event loop and share what their worker opened when it started.

jobfleet run examples/async_handler.py
"""

import asyncio

from jobfleet import Job, State, handler, on_start, on_stop


class MailServer:
    """Stands in for a connection pool."""

    def __init__(self) -> None:
        self.sent = 0

    async def send(self, address: str) -> None:
        """Send one mail."""
        if "@" not in address:
            raise ValueError(f"{address!r} is no address")
        await asyncio.sleep(0.01)
        self.sent += 1

    async def close(self) -> None:
        """Hang up."""


@on_start
async def connect(state: State) -> None:
    """Runs once per worker, on the loop of its async handlers, before the first job."""
    state.mail = MailServer()


@on_stop
async def disconnect(state: State) -> None:
    """Runs after the last job."""
    await state.mail.close()


@handler("send-mail", slots=32, lease="5s")
async def send_mail(job: Job) -> None:
    """Returning nothing completes the job without variables."""
    await asyncio.wait_for(job.state.mail.send(job.variables["to"]), timeout=2)
