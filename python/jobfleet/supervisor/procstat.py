"""What the system says about one process, in one read."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class ProcStat(NamedTuple):
    """State letter and processor time of a process."""

    state: str
    cpu_s: float


def read_stat(pid: int) -> ProcStat | None:
    """Read /proc/PID/stat; None when the process is gone or there is no descriptor to read it with."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The name may have spaces and brackets of its own.
    fields = text.rpartition(b")")[2].split()
    if len(fields) < 13:
        return None
    return ProcStat(fields[0].decode(), (int(fields[11]) + int(fields[12])) / _TICKS_PER_S)
