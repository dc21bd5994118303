"""What `make` says when something is missing that it cannot install."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "sed", "uname", "env")


class Machine:
    """A machine that has the programs of `folder` and no others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in TOOLS:
            found = shutil.which(name)
            assert found is not None
            (folder / name).symlink_to(found)

    def has(self, name: str, says: str = "", status: int = 0) -> None:
        program = self.folder / name
        program.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
        program.chmod(0o755)

    def needs(self, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "tools" / "needs"],
            env={"PATH": str(self.folder)} | env,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.has("cargo")
    made.has("rustc", "rustc 1.95.0 (0000 2026-01-01)")
    made.has("cc")
    made.has("python3")
    return made


def test_complete_machine_gets_the_name_of_its_python(machine: Machine) -> None:
    done = machine.needs()
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(machine.folder / "python3"), "")


@pytest.mark.parametrize(
    ("program", "word"), [("cargo", "Rust toolchain"), ("cc", "linker"), ("python3", "Python 3.10")]
)
def test_absent_program_is_named_in_one_sentence(machine: Machine, program: str, word: str) -> None:
    (machine.folder / program).unlink()
    done = machine.needs()
    assert done.returncode == 1
    assert word in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_old_rust_is_named(machine: Machine) -> None:
    machine.has("rustc", "rustc 1.70.0 (0000 2023-06-01)")
    assert "older than 1.88" in machine.needs().stderr


def test_old_python_is_passed_over_for_a_newer_one(machine: Machine) -> None:
    machine.has("python3", status=1)
    assert "Python 3.10 or newer" in machine.needs().stderr
    (machine.folder / "python3.12").symlink_to(sys.executable)
    assert machine.needs().stdout.strip() == str(machine.folder / "python3.12")


def test_python_that_was_asked_for_is_the_only_candidate(machine: Machine) -> None:
    assert machine.needs(PYTHON="python3.99").returncode == 1


def test_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    said = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True, env=_without_make()
    ).stdout
    assert set(re.findall(r"make (\S+)", said)) == set(phony.split())


def test_locked_dependencies_have_hashes_and_no_addresses() -> None:
    for name in ("run.txt", "dev.txt"):
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        assert "://" not in text
        pinned = re.findall(r"^[a-z][\w.-]*==[^\n]*\n([^\n]*)", text, re.MULTILINE)
        assert len(pinned) > 10
        assert all("--hash=sha256:" in following for following in pinned)


def _without_make() -> dict[str, str]:
    """Flags of an outer make would change what the inner one prints."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
