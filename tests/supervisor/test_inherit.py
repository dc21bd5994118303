"""What handlers inherit, and what their own words keep them from inheriting."""

from __future__ import annotations

import pytest
from jobfleet.config.durations import Duration
from jobfleet.config.model import HandlerDefaults
from jobfleet.supervisor.inherit import inherit
from jobfleet.supervisor.messages import HandlerSpec, Loaded

DEFAULTS = HandlerDefaults(lease=Duration(7), max_jobs=32, tenants=["red", "blue"])
ASSIGNED = HandlerDefaults(tenant_filter="assigned")


def inherited(defaults: HandlerDefaults, **said: object) -> HandlerSpec:
    handler = HandlerSpec(type="x", name="m:x", file="m.py", line=1, strategy="main", lane=0, slots=1, **said)  # type: ignore[arg-type]
    inherit(Loaded(handlers=[handler], lanes=[("main", 1)]), defaults)
    return handler


def test_silent_handler_takes_all_of_it() -> None:
    found = inherited(DEFAULTS)
    assert (found.lease_ms, found.max_jobs, found.tenants, found.tenant_filter) == (7000, 32, ["red", "blue"], None)


def test_handlers_own_words_win() -> None:
    found = inherited(DEFAULTS, lease_ms=100, max_jobs=1, tenants=["green"])
    assert (found.lease_ms, found.max_jobs, found.tenants) == (100, 1, ["green"])


@pytest.mark.parametrize(
    ("said", "tenants", "tenant_filter"),
    [({}, None, "assigned"), ({"tenants": ["green"]}, ["green"], "provided")],
)
def test_handler_that_names_tenants_means_these(
    said: dict[str, list[str]], tenants: list[str] | None, tenant_filter: str
) -> None:
    found = inherited(ASSIGNED, **said)
    assert (found.tenants, found.tenant_filter) == (tenants, tenant_filter)
