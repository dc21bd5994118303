"""The examples do what they say."""

from pathlib import Path
from typing import Any

import pytest
from jobfleet import JobError, JobFailure
from jobfleet.handlers import Loaded, load

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def examples() -> Loaded:
    return load([str(EXAMPLES)])


def test_there_is_one_of_each_kind(examples: Loaded) -> None:
    assert {spec.type: spec.strategy for spec in examples.handlers} == {
        "send-mail": "loop",
        "print-label": "main",
        "reserve-stock": "threads",
        "charge-card": "main",
    }


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_they_also_load_one_by_one(file: Path) -> None:
    assert len(load([str(file)]).handlers) == 1


def test_they_complete_and_fail_as_their_words_say(examples: Loaded) -> None:
    run = {spec.type: binding for spec, binding in zip(examples.handlers, examples.bindings, strict=True)}

    def call(job_type: str, variables: str) -> Any:
        binding = run[job_type]
        return binding.function(binding.decode(f'{{"variables": {variables}}}'.encode()))

    assert call("print-label", '{"address": "1 Long Lane"}') == {"label": "1 LONG LANE"}
    assert call("reserve-stock", '{"orderId": "a", "items": 3}') == {"reserved": 3}
    assert call("charge-card", '{"orderId": "a", "amount": 100}').fee == 1.4
    with pytest.raises(ValueError, match="no address"):
        call("print-label", "{}")
    with pytest.raises(JobFailure):
        call("print-label", '{"address": "nowhere"}')
    with pytest.raises(JobError):
        call("charge-card", '{"orderId": "a", "amount": 10001}')
