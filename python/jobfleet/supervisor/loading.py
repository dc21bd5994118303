"""Asks a fresh zygote for the handlers of a pool. Light, since `run` asks before it imports the supervisor."""

from __future__ import annotations

import os

from jobfleet.config.model import PoolPlan
from jobfleet.supervisor.messages import Limits, Load, encode
from jobfleet.supervisor.spawn import Spawned


def send_load(spawned: Spawned, plan: PoolPlan, generation: int = 1) -> None:
    """Ask for what `plan` lists. Its socket is empty, so this does not block. Raises `OSError` when it is dead."""
    request = Load(
        pool=plan.name,
        generation=generation,
        handlers=plan.handlers,
        slots=plan.slots,
        preload=plan.preload,
        supervisor_pid=os.getpid(),
        limits=Limits(soft_ms=plan.time_limit_ms, hard_ms=plan.hard_time_limit_ms),
    )
    spawned.control.send(encode(request))
