"""Fetching the distribution of Camunda that the tests run against.

It is under the Camunda License 1.0: it is downloaded for tests, kept outside the tree and never shipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "8.6.0"
"""The newest version whose whole distribution is published as a Maven artifact."""

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"


def maven() -> str | None:
    """The Maven that would fetch it, or None."""
    return shutil.which("mvn")


def cached() -> Path | None:
    """The unpacked distribution, or None while it was not fetched yet."""
    home = _cache() / VERSION
    return home if (home / "bin" / "broker").exists() else None


def fetch() -> Path:
    """The unpacked distribution, fetched with Maven (about 300 MB) unless the cache has it.

    Raises `RuntimeError` with Maven's own words when it cannot be had.
    """
    if home := cached():
        return home
    home = _cache() / VERSION
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{VERSION}-") as scratch:
        archive = _download(Path(scratch))
        unpacked = Path(scratch) / "unpacked"
        shutil.unpack_archive(archive, unpacked)
        (inner,) = unpacked.iterdir()
        try:
            inner.rename(home)
        except OSError:
            # Another run that fetched at the same time was faster; its copy is as good.
            if not cached():
                raise
    return home


def _download(to: Path) -> Path:
    name = f"camunda-zeebe-{VERSION}.tar.gz"
    artifact = f"io.camunda:camunda-zeebe:{VERSION}:tar.gz"
    command = [maven() or "mvn", "-B", _COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={to}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode or not (to / name).exists():
        errors = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        raise RuntimeError(f"Maven cannot fetch {artifact}: {' '.join(errors[:2]) or done.stdout[-400:]}")
    return to / name


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "jobfleet" / "camunda"
