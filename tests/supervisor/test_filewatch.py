"""Which changes of files are told. The looks are taken by the test."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jobfleet.supervisor.filewatch import FileWatch
from jobfleet.supervisor.pools import Pools
from jobfleet.worker.sources import fingerprint


def watched(folder: Path, *files: Path, loaded: str | None = None) -> Any:
    """Pools whose one generation was loaded from `files` and handles what is in `folder`."""
    names = [str(file) for file in files]
    handlers = SimpleNamespace(files=names, fingerprint=loaded or fingerprint(names))
    pools: Any = Pools()
    pools.current = {"default": SimpleNamespace(handlers=handlers, plan=SimpleNamespace(handlers=[str(folder)]))}
    return pools


def looks(pools: Any, change: Any = None) -> list[str]:
    """What is told by the first look, and by two more after `change`."""
    told: list[str] = []

    async def run() -> None:
        watch = FileWatch(pools, [], asyncio.get_running_loop(), told.append)
        watch.start()
        await asyncio.sleep(0)
        if change is not None:
            change()
            watch._tick()
            assert told == []
            watch._tick()
        watch.stop()

    asyncio.run(run())
    return told


def test_change_is_told_once_it_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    assert looks(watched(tmp_path, file), lambda: file.write_text("12")) == [f"{file} has changed"]


def test_new_and_removed_files_of_a_folder_are_told(tmp_path: Path) -> None:
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.touch()
    assert looks(watched(tmp_path, first), second.touch) == [f"{second} has changed"]
    assert looks(watched(tmp_path, first), second.unlink) == [f"{second} has changed"]


def test_nothing_is_told_without_a_change(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.touch()
    assert looks(watched(tmp_path, file), (tmp_path / "note.txt").touch) == []


def test_file_that_changed_between_its_import_and_the_first_look_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.touch()
    before = fingerprint([str(file)])
    os.utime(file, (1, 1))
    assert looks(watched(tmp_path, file, loaded=before)) == ["a source file has changed since it was loaded"]
