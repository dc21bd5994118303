"""Classes of the user that hand out the header."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobfleet.auth import custom
from jobfleet.auth.custom import Provided
from jobfleet.auth.errors import AuthError

SOURCE = """
    import asyncio
    from jobfleet.auth import Authorization

    class Plain:
        def authorization(self):
            return Authorization("Bearer plain", expires_in_s=60)

    class Later:
        async def authorization(self):
            await asyncio.sleep(0)
            return "Bearer later", 30

    class Text:
        def authorization(self):
            return "Bearer text"

    class Number:
        def authorization(self):
            return 7

    class TwoLines:
        def authorization(self):
            return "Bearer a\\r\\nX-Evil: 1"

    class Fails:
        def authorization(self):
            raise ConnectionError("vault is sealed")

    class Hangs:
        def authorization(self):
            import threading
            threading.Event().wait()

    class Nothing: ...

    class Broken:
        def __init__(self):
            raise OSError("no socket")
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "bank_login.py").write_text(textwrap.dedent(SOURCE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("bank_login", None)


@pytest.mark.parametrize(
    ("name", "value", "expires_in_s"),
    [("Plain", "Bearer plain", 60), ("Later", "Bearer later", 30), ("Text", "Bearer text", None)],
)
def test_plain_and_async_classes_hand_out_headers(name: str, value: str, expires_in_s: float | None) -> None:
    header = asyncio.run(Provided(f"bank_login.{name}").get(None))
    assert (header.value, header.expires_in_s) == (value, expires_in_s)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Number", "returns a int; expected an Authorization"),
        ("TwoLines", "printable ASCII text"),
        ("Fails", "raises ConnectionError: vault is sealed"),
        ("Hangs", "does not answer in 0.05 s"),
    ],
)
def test_failure_of_the_class_is_told_with_its_name(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom, "_LIMIT_S", 0.05)
    with pytest.raises(AuthError) as caught:
        asyncio.run(Provided(f"bank_login.{name}").get(None))
    assert f"auth.provider bank_login.{name}" in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("dotted", "said"),
    [
        ("Plain", "expected a class such as package.module.Class"),
        ("absent_module.Plain", "cannot be made: ModuleNotFoundError"),
        ("bank_login.Absent", "cannot be made: AttributeError"),
        ("bank_login.Broken", "cannot be made: OSError: no socket"),
        ("bank_login.Nothing", "has no method `authorization`"),
    ],
)
def test_class_that_cannot_be_used_is_named(dotted: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"auth\.provider") as caught:
        Provided(dotted)
    assert said in str(caught.value)
