"""What this host grants."""

from __future__ import annotations

import math
import os
from pathlib import Path


def granted_processors(
    cgroup_root: Path = Path("/sys/fs/cgroup"), self_cgroup: Path = Path("/proc/self/cgroup")
) -> int:
    """Processors that this process may use: the smaller of its affinity and its cgroups' `cpu.max`, at least 1."""
    granted = float(len(os.sched_getaffinity(0)))
    for folder in _cgroup_folders(cgroup_root, self_cgroup):
        granted = min(granted, _quota(folder))
    return max(1, math.ceil(granted))


def _cgroup_folders(root: Path, self_cgroup: Path) -> list[Path]:
    """The folders of this process's cgroup (version 2) and its ancestors: each of them can limit it."""
    try:
        lines = self_cgroup.read_text().splitlines()
    except OSError:
        return [root]
    inside = next((line[3:] for line in lines if line.startswith("0::")), "/")
    own = root / inside.lstrip("/")
    return [own, *(parent for parent in own.parents if parent == root or root in parent.parents)]


def _quota(folder: Path) -> float:
    """Processors that `cpu.max` of one cgroup allows; infinite without a limit."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return math.inf if quota == "max" else float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
