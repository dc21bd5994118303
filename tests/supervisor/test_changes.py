"""What a reload applies, and what it names as in need of a restart."""

from __future__ import annotations

import msgspec
import pytest
from jobfleet.config.durations import Duration
from jobfleet.config.model import PoolSettings, Settings
from jobfleet.supervisor.changes import compare

OF_POOLS = sorted(set(PoolSettings.__struct_fields__) & set(Settings.__struct_fields__))


@pytest.mark.parametrize("name", OF_POOLS)
def test_default_for_pools_is_applied_like_the_setting_of_a_pool(name: str) -> None:
    after = msgspec.structs.replace(Settings(), **{name: object()})
    changes = compare(Settings(), after)
    assert (changes.applied, changes.needs_restart) == ([name], [])
    assert getattr(changes.settings, name) is getattr(after, name)


def test_setting_that_only_a_start_reads_is_named_and_not_applied() -> None:
    changes = compare(Settings(), Settings(name="other", look_every=Duration(0.1)))
    assert (changes.applied, changes.needs_restart) == ([], ["name", "look_every"])
    assert changes.settings == Settings()
