"""Looking for a Java that Camunda 8.6 runs on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

NEEDED = 21
"""The oldest major version of Java that Camunda 8.6 starts with."""

_SEARCHED = (
    "/usr/lib/jvm/*",
    "/opt/java/*",
    "/opt/jdk*",
    "~/.jdks/*",
    "~/.sdkman/candidates/java/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
)


def find_java() -> Path | None:
    """The home of a Java that is new enough: JAVA_HOME, else the one on the path, else the oldest one installed."""
    for home in _preferred():
        if _major(home) >= NEEDED:
            return home
    suitable = [(major, home) for home in _installed() if (major := _major(home)) >= NEEDED]
    return min(suitable)[1] if suitable else None


def _preferred() -> Iterator[Path]:
    if named := os.environ.get("JAVA_HOME"):
        yield Path(named)
    if found := shutil.which("java"):
        yield Path(found).resolve().parent.parent


def _installed() -> Iterator[Path]:
    for pattern in _SEARCHED:
        absolute = Path(pattern).expanduser()
        root = Path(absolute.anchor)
        yield from root.glob(str(absolute.relative_to(root)))


def _major(home: Path) -> int:
    program = home / "bin" / "java"
    if not os.access(program, os.X_OK):
        return 0
    said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0
