"""What a worker process does, judged from outside: its flight recorder, and what the system says of suspects. Pure."""

from __future__ import annotations

import enum
from typing import Final

from jobfleet.supervisor.messages import Suspicion

# Below this share of a processor a process waits, and above the other one it computes.
_WAITS: Final = 0.02
_COMPUTES: Final = 0.5
_STOPPED: Final = "Tt"


class Liveness(enum.Enum):
    """The value is what status shows."""

    IDLE = "idle"
    BUSY = "busy"
    GIL_STALLED = "gil-stalled"
    """It computes, and no other slot of it gets its turn although it has work."""
    HUNG = "hung"
    """It uses no processor time, and a job is over its limit or does not start although there is room."""
    STOPPED = "stopped"
    """SIGSTOP, or a debugger."""


def judge(suspicion: Suspicion, system_state: str, cpu_share: float | None) -> Liveness:
    """What a suspect does: `system_state` as in /proc/PID/stat, `cpu_share` in processors since the last look.

    A process with a single slot is never called GIL-stalled: its handler may compute for as long as it likes.
    """
    if system_state in _STOPPED:
        return Liveness.STOPPED
    if cpu_share is None:
        return Liveness.BUSY
    if suspicion.over and cpu_share < _WAITS:
        return Liveness.HUNG
    if suspicion.slots > 1 and suspicion.starved and suspicion.quiet_ms:
        return Liveness.GIL_STALLED if cpu_share >= _COMPUTES else Liveness.HUNG
    return Liveness.BUSY


def why(suspicion: Suspicion, liveness: Liveness, system_state: str) -> str:
    """The judgement in a sentence for an operator."""
    if liveness is Liveness.STOPPED:
        return "a debugger holds it" if system_state == "t" else "it is stopped (SIGSTOP); SIGCONT lets it go on"
    quiet_s = suspicion.quiet_ms / 1000
    if liveness is Liveness.GIL_STALLED:
        return (
            f"for {quiet_s:.0f} s it computes while jobs wait for its free slots: a handler holds the interpreter's "
            "lock or blocks its event loop"
        )
    if suspicion.over:
        first = suspicion.over[0]
        return (
            f"job {first.key} ({first.type}) runs for {first.ran_ms / 1000:.1f} s, its time limit is "
            f"{first.limit_ms / 1000:g} s, and it uses no processor time"
        )
    return f"for {quiet_s:.0f} s jobs wait for its free slots and it uses no processor time: a handler blocks it"
