"""What handlers inherit from the fleet that do not say it themselves."""

from __future__ import annotations

from jobfleet.config.model import HandlerDefaults
from jobfleet.supervisor.messages import Loaded


def inherit(loaded: Loaded, defaults: HandlerDefaults) -> None:
    """Fill in what the handlers leave open."""
    for handler in loaded.handlers:
        if handler.lease_ms is None:
            handler.lease_ms = defaults.lease.ms
