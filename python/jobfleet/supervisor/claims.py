"""Which pool handles a job type: one only, since two would each get a part of its jobs."""

from __future__ import annotations

from collections.abc import Sequence

from jobfleet.supervisor.messages import HandlerSpec


def claim_types(claims: dict[str, str], pool: str, handlers: Sequence[HandlerSpec]) -> None:
    """Enter the types of a pool's handlers. Raises `ValueError` for one that another pool has."""
    for handler in handlers:
        owner = claims.get(handler.type, pool)
        if owner != pool:
            raise ValueError(
                f"{handler.file}:{handler.line}: job type {handler.type!r} is handled by pool {owner!r} already; "
                "leave it to one of them"
            )
    claims.update({handler.type: pool for handler in handlers})
