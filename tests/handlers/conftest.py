"""Fixtures for tests of loading: each has folders, `sys.path` and modules of its own."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jobfleet.handlers import Loaded, load
from jobfleet.handlers.finder import FINDER
from jobfleet.handlers.registry import REGISTRY

Write = Callable[..., Path]
Load = Callable[..., Loaded]


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start in an empty folder; forget what the test imported."""
    monkeypatch.chdir(tmp_path)
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__path__", sys.modules[name].__dict__.get("__file__"))):
            del sys.modules[name]
    FINDER.forget()
    for registered in (REGISTRY.handlers, REGISTRY.on_start, REGISTRY.on_stop):
        registered.clear()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the empty folder."""

    def write(name: str, source: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source))
        return file

    return write


@pytest.fixture
def loaded(write: Write, tmp_path: Path) -> Load:
    """Load handlers from source."""

    def loaded(source: str, slots: int | None = None) -> Loaded:
        name = f"handlers{len(list(tmp_path.iterdir())) or ''}.py"
        write(name, source)
        return load([name], slots)

    return loaded


def handler_of(job_type: str, body: str = "pass") -> str:
    """The source of a handler."""
    return f"from jobfleet import handler\n@handler({job_type!r})\ndef work(job):\n    {body}\n"
