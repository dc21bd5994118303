"""The peers: built from their registries into the cache, each started by one command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.client import Command
from bench.paths import CACHE, PEERS


@dataclass(frozen=True)
class Peer:
    """One peer, and the least that jobfleet's jobs/s must be of its."""

    name: str
    needs: str
    build: Callable[[], Command]
    at_least: float


def _run(*words: str | Path, cwd: Path) -> None:
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{words[0]} fails: {(done.stderr or done.stdout)[-600:]}")


def _fresh(name: str) -> tuple[Path, Path, bool]:
    """The peer's sources, the folder it is built in, and whether that is up to date."""
    source, target = PEERS / name, CACHE / name
    target.mkdir(parents=True, exist_ok=True)
    stamp = target / ".built"
    newest = max(path.stat().st_mtime for path in source.rglob("*") if path.is_file())
    return source, target, stamp.exists() and stamp.stat().st_mtime >= newest


def _python() -> Command:
    source, target, fresh = _fresh("python")
    python = target / "venv" / "bin" / "python"
    if not fresh:
        _run(sys.executable, "-m", "venv", "--clear", target / "venv", cwd=target)
        _run(
            python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", source / "requirements.txt", cwd=target
        )
        (target / ".built").touch()
    return Command("Python SDK, 500 concurrent", [python, source / "worker.py", "{url}", "noop", "500"], warm_up_s=3)


def _node() -> Command:
    source, target, fresh = _fresh("node")
    if not fresh:
        for path in source.iterdir():
            shutil.copy(path, target)
        _run("npm", "ci", "--ignore-scripts", cwd=target)
        (target / ".built").touch()
    node = target / "node_modules" / ".bin" / "node"
    return Command("Node SDK, 100 parallel", [node, target / "worker.mjs", "{url}", "noop", "100"], warm_up_s=3)


def _java() -> Command:
    # Its compiler needs a while until it has seen enough.
    return Command("Java client, 1000 active", _java_worker("java", active=1000), warm_up_s=8)


def _java_for_8_6() -> Command:
    return Command("Java client 8.6, 200 active", _java_worker("java86", active=200))


def _java_worker(peer: str, active: int) -> list[str | Path]:
    source, target, fresh = _fresh(peer)
    if not fresh:
        _run("mvn", "-q", "-B", "-f", source / "pom.xml", f"-Dpeer.target={target}", "package", cwd=target)
        (target / ".built").touch()
    jars = f"{next(target.glob('peer*-1.jar'))}:{target}/lib/*"
    return ["java", "-cp", jars, "Worker", "{url}", "noop", str(active), "4"]


def _rust() -> Command:
    source, target, fresh = _fresh("rust")
    if not fresh:
        manifest = source / "Cargo.toml"
        _run("cargo", "build", "--release", "--locked", "--manifest-path", manifest, "--target-dir", target, cwd=target)
        (target / ".built").touch()
    return Command("Rust SDK, 1000 active", [target / "release" / "peer", "{url}", "noop", "1000"], warm_up_s=2)


PEERS_IN_ORDER = (
    Peer("Java client", "mvn", _java, 1.0),
    Peer("Rust SDK", "cargo", _rust, 1.4),
    Peer("Node SDK", "npm", _node, 8.0),
    Peer("Python SDK", "python3", _python, 120.0),
)

JAVA_FOR_8_6 = Peer("Java client 8.6", "mvn", _java_for_8_6, 1.0)
"""Since 8.8 it is `camunda-client-java`, which looks for `jobKey` where 8.6 sends `key`, and completes no job of it."""
