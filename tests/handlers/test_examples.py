"""The examples do what they say."""

from pathlib import Path

import pytest
from jobfleet import Job, JobError, JobFailure
from jobfleet.handlers import Loaded, load

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def examples() -> Loaded:
    return load([str(EXAMPLES)])


def test_there_is_one_of_each_kind(examples: Loaded) -> None:
    assert {spec.type: spec.strategy for spec in examples.handlers} == {
        "send-mail": "loop",
        "reserve-stock": "main",
        "print-label": "threads",
        "charge-card": "main",
    }


def test_they_also_load_one_by_one() -> None:
    for file in sorted(EXAMPLES.glob("*.py")):
        assert len(load([str(file)]).handlers) == 1


def test_they_complete_and_fail_as_their_words_say(examples: Loaded) -> None:
    run = {s.type: b for s, b in zip(examples.handlers, examples.bindings, strict=True)}
    assert run["reserve-stock"].function(Job(variables={"quantity": 2})) == {"reserved": 2}
    with pytest.raises(JobError):
        run["reserve-stock"].function(Job(variables={"quantity": 5_000}))
    with pytest.raises(JobFailure):
        run["print-label"].function(Job(variables={"address": "unknown"}))
    typed = run["charge-card"].decode(b'{"variables": {"orderId": "a", "amount": 5}}')
    assert run["charge-card"].function(typed).charged is True
