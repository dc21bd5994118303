"""What is wrong with handlers is said in one sentence with place and remedy."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from jobfleet.handlers import LoadError, load

from .conftest import Load, Write, handler_of


def error_of(paths: Sequence[str]) -> LoadError:
    with pytest.raises(LoadError) as caught:
        load(paths)
    assert "\n" not in str(caught.value)
    return caught.value


def test_missing_file_names_the_nearest_one(write: Write) -> None:
    write("handlers.py", handler_of("a"))
    assert str(error_of(["handler.py"])) == "handler.py does not exist; did you mean handlers.py?"


def test_missing_folder_is_named() -> None:
    assert "there is no folder" in str(error_of(["absent/handlers.py"]))


def test_file_of_another_kind_is_refused(write: Write) -> None:
    write("handlers.txt", "")
    assert "not a Python file" in str(error_of(["./handlers.txt"]))


@pytest.mark.parametrize("name", ["no such thing", "absent_module", "absent.module", "collections.absent"])
def test_what_is_neither_path_nor_module_is_said(name: str) -> None:
    message = str(error_of([name]))
    assert repr(name) in message
    assert "correct" in message


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no Python file" in str(error_of(["empty"]))


def test_syntax_error_has_file_and_line(write: Write) -> None:
    write("handlers.py", "x = 1\ndef broken(:\n    pass\n")
    error = error_of(["handlers.py"])
    assert str(error).startswith("handlers.py:2 has a syntax error: ")
    assert (error.line, error.path) == (2, str(Path("handlers.py").resolve()))


def test_absent_import_names_module_line_and_remedy(write: Write) -> None:
    write("handlers.py", "import os\nimport absent_module.part\n")
    error = error_of(["handlers.py"])
    assert str(error).startswith("handlers.py:2 imports 'absent_module', which is not installed for ")
    assert "pip install absent_module" in str(error)
    assert "Traceback" in error.detail
    assert "jobfleet/handlers" not in error.detail


def test_absent_import_inside_of_a_neighbour_is_placed_there(write: Write) -> None:
    write("neighbour.py", "\n\nimport absent_module\n")
    write("handlers.py", "import neighbour\n")
    error = error_of(["handlers.py"])
    assert str(error).startswith("neighbour.py:3 imports 'absent_module'")


def test_absent_submodule_of_an_installed_package_is_not_to_be_installed(write: Write) -> None:
    write("handlers.py", "import msgspec.absent\n")
    assert "which does not exist" in str(error_of(["handlers.py"]))


def test_absent_name_is_placed(write: Write) -> None:
    write("handlers.py", "from msgspec import absent\n")
    assert str(error_of(["handlers.py"])).startswith("handlers.py:1 cannot import: ")


def test_relative_import_in_a_lone_file_says_what_to_give_instead(write: Write) -> None:
    write("handlers.py", "from .common import x\n")
    assert "give its folder" in str(error_of(["handlers.py"]))


def test_exception_at_import_is_placed_in_the_handlers_code(write: Write) -> None:
    write("handlers.py", "import json\n\nconfig = json.loads('{')\n")
    message = str(error_of(["handlers.py"]))
    assert message.startswith("handlers.py:3 raises JSONDecodeError while it is imported: ")


def test_exit_at_import_says_how_to_guard_it(write: Write) -> None:
    write("handlers.py", "import sys\nsys.exit(main() if False else 0)\n")
    assert "__main__" in str(error_of(["handlers.py"]))


def test_no_handler_says_how_to_make_one(write: Write) -> None:
    write("handlers.py", "def work(job): ...\n")
    error = error_of(["handlers.py"])
    assert str(error) == 'handlers.py defines no handler; decorate a function with @handler("the-job-type")'


def test_nothing_given_is_refused() -> None:
    assert "no handlers are given" in str(error_of([]))


def test_two_handlers_for_one_type_names_both(write: Write) -> None:
    write("a.py", handler_of("pay"))
    write("b.py", "\n" + handler_of("pay"))
    message = str(error_of(["a.py", "b.py"]))
    assert "'pay'" in message
    assert "a.py:2" in message
    assert "b.py:3" in message


def test_package_of_a_name_that_is_taken_is_refused(write: Write) -> None:
    write("one/app/__init__.py", handler_of("one"))
    write("two/app/__init__.py", handler_of("two"))
    assert "rename one of them" in str(error_of(["one/app", "two/app"]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("slots=0", "slots is 0"),
        ("slots=True", "slots is True"),
        ("slots='4'", "slots is '4'"),
        ("slots=10**6", "slots is 1000000"),
        ("lease='soon'", "lease is 'soon'"),
        ("lease='1ms'", "at least 100 ms"),
        ("lease=-1", "out of range"),
        ("lease=float('nan')", "out of range"),
        ("hold='1ms'", "hold is '1ms'; give at least 50 ms"),
        ("max_jobs=0", "max_jobs is 0"),
        ("tenants='red'", "tenants is 'red'"),
        ("tenants=[]", "tenants is []"),
        ("tenant_filter='all'", 'give "provided" or "assigned"'),
        ("fetch='orderId'", "give a list"),
        ("fetch=[]", "give a list"),
        ("fetch=[1]", "give a list"),
        ("strategy='process'", "strategy is 'process'"),
        ("strategy='main', slots=2", "strategy 'main' runs one job at a time"),
        ("backoff=5", "backoff is 5"),
        ("backoff={ValueError: 5}", "give a Backoff"),
        ("retry_bad_data=1", "give True or False"),
        ("slot=4", "did you mean 'slots'?"),
        ("colour='red'", "the options are slots"),
    ],
)
def test_impossible_option_is_placed_and_explained(write: Write, options: str, words: str) -> None:
    write("handlers.py", f"from jobfleet import handler\n\n@handler('pay', {options})\ndef pay(job): ...\n")
    error = error_of(["handlers.py"])
    assert str(error).startswith("handlers.py:3: ")
    assert words in str(error)
    assert error.line == 3


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("@handler\ndef pay(job): ...", "lacks the job type"),
        ("@handler('')\ndef pay(job): ...", "non-empty"),
        ("@handler('pay')\ndef pay(): ...", "takes no job"),
        ("@handler('pay')\ndef pay(*, job): ...", "takes no job"),
        ("@handler('pay')\ndef pay(job, order): ...", "'order' has no default"),
        ("@handler('pay')\ndef pay(job: int): ...", "declare it as Job"),
        ("@handler('pay')\ndef pay(job: Job[int]): ...", "variables are a JSON object, which Int is not"),
        ("@handler('pay')\ndef pay(job: Job[list[str]]): ...", "which List is not"),
        ("@handler('pay')\ndef pay(job: 'Job[Absent]'): ...", "cannot be resolved"),
        ("class C: ...\n@handler('pay')\ndef pay(job: Job[C]): ...", "has the type 'C'"),
        ("class C: ...\nclass S(Struct):\n  c: list[C]\n@handler('pay')\ndef pay(job: Job[S]): ...", "variables.c has"),
        ("@handler('pay')\ndef pay(job):\n  yield", "generator"),
        ("@handler('pay')\nasync def pay(job):\n  yield", "generator"),
        ("@handler('pay', strategy='main')\nasync def pay(job): ...", "use 'loop'"),
        ("@handler('pay', strategy='threads', slots=2)\nasync def pay(job): ...", "use 'loop'"),
        ("class S(Struct):\n  a: int\n@handler('pay', fetch=['b'])\ndef pay(job: Job[S]): ...", "leaves out 'a'"),
        ("T = TypeVar('T')\n@handler('pay')\ndef pay(job: Job[T]): ...", "give a type instead of"),
        ("@on_start\ndef start(a, b): ...", "more than one parameter"),
        ("@on_start()\ndef start(): ...", "missing"),
        ("Backoff(first='1h', maximum='1s')", "longer than maximum"),
        ("Backoff(factor=0.5)", "factor is 0.5"),
        ("Backoff(jitter=2)", "jitter is 2"),
        ("Backoff(tries=0)", "tries is 0"),
    ],
)
def test_impossible_handler_is_placed_and_explained(loaded: Load, source: str, words: str) -> None:
    with pytest.raises(LoadError) as caught:
        loaded(
            "from typing import TypeVar\nfrom msgspec import Struct\n"
            f"from jobfleet import Backoff, Job, handler, on_start\n{source}\n"
        )
    assert str(caught.value).startswith("handlers.py:")
    assert words in str(caught.value)
    assert caught.value.line is not None
