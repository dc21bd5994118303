"""A checkout of jobfleet that was built, with an environment of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Checkout:
    """A folder, its commit, and its `jobfleet`."""

    folder: Path
    commit: str
    program: Path

    @classmethod
    def find(cls, folder: Path) -> Checkout:
        """Raises ValueError, with one sentence, when nothing can be measured there."""
        folder = folder.resolve()
        program = folder / ".venv" / "bin" / "jobfleet"
        if not program.exists():
            raise ValueError(f"{folder} is not built: run `make build` there")
        told = _said(folder, program.with_name("python"), "-c", "from jobfleet import _core; print(_core.DEBUG_BUILD)")
        if told is None:
            raise ValueError(f"{folder} has an extension that cannot be loaded: run `make build` there")
        if told != "False":
            raise ValueError(f"{folder} has a debug build, which tells nothing: run `make build` there")
        return cls(folder, _said(folder, "git", "describe", "--always", "--dirty") or "no commit", program)


def _said(folder: Path, *words: str | Path) -> str | None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout.strip()
