"""What handlers inherit from the fleet that do not say it themselves."""

from __future__ import annotations

from jobfleet.config.model import HandlerDefaults
from jobfleet.supervisor.messages import HandlerSpec, Loaded


def inherit(loaded: Loaded, defaults: HandlerDefaults) -> None:
    """Fill in what the handlers leave open."""
    for handler in loaded.handlers:
        if handler.lease_ms is None:
            handler.lease_ms = defaults.lease.ms
        if handler.max_jobs is None:
            handler.max_jobs = defaults.max_jobs
        _inherit_tenants(handler, defaults)


def _inherit_tenants(handler: HandlerSpec, defaults: HandlerDefaults) -> None:
    """A handler that names tenants means these, whatever the fleet's filter is."""
    if handler.tenant_filter is None:
        handler.tenant_filter = "provided" if handler.tenants else defaults.tenant_filter
    if handler.tenants is None:
        handler.tenants = defaults.tenants
