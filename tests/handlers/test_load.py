"""Loading handlers from files, folders and dotted modules."""

import subprocess
import sys

import pytest
from jobfleet import Job
from jobfleet.handlers import Loaded, LoadError, load

from .conftest import Load, Write, handler_of


def types(loaded: Loaded) -> list[str]:
    return [spec.type for spec in loaded.handlers]


def call(loaded: Loaded, job_type: str) -> object:
    return loaded.bindings[types(loaded).index(job_type)].function(Job(variables={}))


def test_file_is_a_module_named_after_itself(write: Write) -> None:
    file = write("pay.py", handler_of("pay"))
    spec = load([str(file)]).handlers[0]
    assert (spec.type, spec.name, spec.file, spec.line) == ("pay", "pay:work", str(file), 2)


def test_options_of_activation_are_passed_on(write: Write) -> None:
    options = "tenants=['red', '<default>'], tenant_filter='provided', hold='2s', max_jobs=5"
    write("pay.py", f"from jobfleet import handler\n@handler('pay', {options})\ndef pay(job): ...\n")
    spec = load(["pay.py"]).handlers[0]
    assert (spec.tenants, spec.tenant_filter) == (["red", "<default>"], "provided")
    assert (spec.hold_ms, spec.max_jobs) == (2_000, 5)


def test_file_imports_its_neighbours(write: Write) -> None:
    write("jobs/rates.py", "RATE = 7")
    write("jobs/pay.py", "import rates\n" + handler_of("pay", "return {'rate': rates.RATE}"))
    assert call(load(["jobs/pay.py"]), "pay") == {"rate": 7}


def test_files_of_one_name_are_two_modules(write: Write) -> None:
    write("a/handlers.py", handler_of("one", "return __name__"))
    write("b/handlers.py", handler_of("two", "return __name__"))
    loaded = load(["a/handlers.py", "b/handlers.py"])
    assert types(loaded) == ["one", "two"]
    assert call(loaded, "one") == "handlers"
    assert str(call(loaded, "two")).startswith("handlers_")


def test_file_named_like_a_module_of_the_standard_library_does_not_hide_it(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "queue", raising=False)
    write("queue.py", handler_of("q", "import queue; return hasattr(queue, 'SimpleQueue')"))
    loaded = load(["queue.py"])
    assert loaded.handlers[0].name.startswith("queue_")
    assert call(loaded, "q") is True


def test_file_whose_name_is_no_identifier_loads(write: Write) -> None:
    write("my-handlers.2.py", handler_of("work"))
    assert types(load(["my-handlers.2.py"])) == ["work"]


def test_file_in_a_package_has_its_dotted_name_and_relative_imports(write: Write) -> None:
    write("app/__init__.py", "")
    write("app/rates.py", "RATE = 7")
    write("app/jobs/__init__.py", "")
    write("app/jobs/pay.py", "from ..rates import RATE\n" + handler_of("pay", "return {'rate': RATE}"))
    loaded = load(["app/jobs/pay.py"])
    assert loaded.handlers[0].name == "app.jobs.pay:work"
    assert call(loaded, "pay") == {"rate": 7}


def test_package_folder_loads_all_its_modules_but_tests(write: Write) -> None:
    write("app/__init__.py", "")
    write("app/a.py", handler_of("a"))
    write("app/deep/__init__.py", handler_of("deep"))
    write("app/deep/b.py", "from . import work\n" + handler_of("b"))
    write("app/test_a.py", handler_of("test"))
    write("app/conftest.py", "raise AssertionError")
    write("app/__main__.py", "raise AssertionError")
    assert sorted(types(load(["app"]))) == ["a", "b", "deep"]


def test_plain_folder_allows_relative_and_bare_imports_of_one_module(write: Write) -> None:
    write("jobs/common.py", "made = []\nmade.append(1)\n")
    write("jobs/a.py", "from .common import made\n" + handler_of("a", "return id(made)"))
    write("jobs/b.py", "import common\nimport a\n" + handler_of("b", "return id(common.made)"))
    write(
        "jobs/c.py", "from . import common\nfrom a import work as other\n" + handler_of("c", "return len(common.made)")
    )
    loaded = load(["jobs/"])
    assert types(loaded) == ["a", "b", "c"]
    assert call(loaded, "a") == call(loaded, "b")
    assert call(loaded, "c") == 1


def test_modules_of_a_plain_folder_may_import_each_other_in_a_circle(write: Write) -> None:
    write("jobs/a.py", "import b\n" + handler_of("a", "return b.__name__"))
    write("jobs/b.py", "from . import a\n" + handler_of("b", "return a.__name__"))
    loaded = load(["jobs"])
    assert (call(loaded, "a"), call(loaded, "b")) == ("jobs.b", "jobs.a")


def test_plain_folder_named_like_a_module_gets_another_name(write: Write) -> None:
    write("json/a.py", "import json\n" + handler_of("a", "return json.dumps(1)"))
    assert call(load(["json"]), "a") == "1"


def test_folder_and_its_file_load_once(write: Write) -> None:
    write("jobs/a.py", handler_of("a"))
    assert types(load(["jobs/a.py", "jobs"])) == ["a"]


def test_dotted_module_is_searched_from_the_current_folder(write: Write) -> None:
    write("app/__init__.py", "")
    write("app/jobs.py", handler_of("work"))
    assert load(["app.jobs"]).handlers[0].name == "app.jobs:work"


def test_handlers_in_a_folder_find_packages_of_the_current_one(write: Write) -> None:
    write("app/__init__.py", "RATE = 7")
    write("jobs/pay.py", "from app import RATE\n" + handler_of("pay", "return RATE"))
    assert call(load(["jobs/pay.py"]), "pay") == 7


def test_several_targets_keep_their_order(write: Write) -> None:
    write("b.py", handler_of("b"))
    write("a.py", handler_of("a"))
    write("pkg/__init__.py", handler_of("pkg"))
    assert types(load(["b.py", "pkg", "a"])) == ["b", "pkg", "a"]


def test_handlers_of_a_module_that_was_imported_before_count(write: Write) -> None:
    write("shared.py", handler_of("shared"))
    write("one.py", "import shared\n" + handler_of("one"))
    write("two.py", "from shared import work\n")
    assert types(load(["one.py"])) == ["shared", "one"]
    assert types(load(["shared"])) == ["shared"]
    assert types(load(["two.py"])) == ["shared"]


def test_one_function_may_handle_two_types(loaded: Load) -> None:
    result = loaded("from jobfleet import handler\n@handler('a')\n@handler('b')\ndef work(job): ...\n")
    assert sorted(types(result)) == ["a", "b"]


def test_decorated_function_stays_a_function(loaded: Load) -> None:
    result = loaded(handler_of("a", "return job.variables"))
    assert call(result, "a") == {}


def test_hooks_are_collected_in_order(loaded: Load) -> None:
    result = loaded("""
        from jobfleet import handler, on_start, on_stop

        @on_start
        def first(state): ...

        @on_start
        async def second(): ...

        @on_stop
        def last(): ...

        @handler("a")
        def a(job): ...
    """)
    assert [(hook.source.name, hook.takes_state) for hook in result.on_start] == [("first", True), ("second", False)]
    assert [hook.source.name for hook in result.on_stop] == ["last"]


def test_lanes_follow_the_handlers(loaded: Load) -> None:
    result = loaded("""
        from jobfleet import handler

        @handler("loop")
        async def loop(job): ...

        @handler("few", slots=2)
        async def few(job): ...

        @handler("threads", slots=3)
        def threads(job): ...

        @handler("main")
        def main(job): ...

        @handler("aside", strategy="threads")
        def aside(job): ...
    """)
    assert result.lanes == [("main", 1), ("threads", 4), ("loop", 66)]
    assert [(spec.type, spec.strategy, spec.lane, spec.slots) for spec in result.handlers] == [
        ("loop", "loop", 2, 64),
        ("few", "loop", 2, 2),
        ("threads", "threads", 1, 3),
        ("main", "main", 0, 1),
        ("aside", "threads", 1, 1),
    ]


def test_ceiling_bounds_lanes_and_slots_and_never_the_main_thread(loaded: Load) -> None:
    result = loaded(
        """
        from jobfleet import handler

        @handler("loop")
        async def loop(job): ...

        @handler("threads", slots=30)
        def threads(job): ...

        @handler("main")
        def main(job): ...
        """,
        slots=8,
    )
    assert result.lanes == [("main", 1), ("threads", 8), ("loop", 8)]
    assert [spec.slots for spec in result.handlers] == [8, 8, 1]
    assert result.notes == ["threads: 8 of its 30 slots, the ceiling for one process"]


@pytest.mark.parametrize("slots", [0, -1])
def test_impossible_ceiling_is_refused(write: Write, slots: int) -> None:
    write("a.py", handler_of("a"))
    with pytest.raises(LoadError, match="1 or more"):
        load(["a.py"], slots)


def test_importing_jobfleet_imports_nothing_else() -> None:
    source = "import sys; before = set(sys.modules); import jobfleet; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    foreign = {name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign == {"jobfleet"}


def test_every_public_name_can_be_imported() -> None:
    import jobfleet

    assert [name for name in jobfleet.__all__ if not hasattr(jobfleet, name)] == []
    with pytest.raises(AttributeError, match="absent"):
        jobfleet.absent  # noqa: B018
