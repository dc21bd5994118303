"""The control API: what may be asked of a fleet over its Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from jobfleet.supervisor import metrics
from jobfleet.supervisor.fleet import Fleet
from jobfleet.supervisor.lifecycle import FleetState, PoolState
from jobfleet.supervisor.status import FleetStatus, fleet_status, with_facts

_encode = msgspec.json.Encoder(enc_hook=str).encode
_JSON = "application/json"


class Api:
    """The handlers of all routes; they only read, but for `drain`."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/v1/status", self.status),
            Route("/v1/events", self.events),
            Route("/v1/drain", self.drain, methods=["POST"]),
            Route("/metrics", self.metrics),
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
        ]
        return Starlette(routes=routes)

    async def status(self, _: Request) -> Response:
        """The fleet, its pools and processes, the job types."""
        return Response(_encode(await self._look()), media_type=_JSON)

    async def metrics(self, _: Request) -> Response:
        """The same figures for a scraper."""
        return Response(metrics.exposition(await self._look()), headers={"content-type": metrics.CONTENT_TYPE})

    async def events(self, _: Request) -> Response:
        """What happens from now on, one JSON object per line."""
        return StreamingResponse(self._lines(), media_type="application/x-ndjson")

    async def _lines(self) -> AsyncIterator[bytes]:
        listener = self._fleet.hub.listen()
        try:
            yield _encode({"event": "hello", "state": self._fleet.life.state.value}) + b"\n"
            while (event := await listener.next()) is not None:
                yield _encode(event) + b"\n"
        finally:
            self._fleet.hub.leave(listener)

    async def drain(self, _: Request) -> Response:
        """Stop to activate, let handlers finish, end the fleet. Answers at once."""
        self._fleet.request_stop("asked to over the control API")
        return JSONResponse({"state": self._fleet.life.state.value}, status_code=202)

    async def healthz(self, _: Request) -> Response:
        """The supervisor turns and the core answers."""
        self._fleet.core.status()
        return PlainTextResponse("ok\n")

    async def readyz(self, _: Request) -> Response:
        """Jobs flow: the fleet runs, the engine answers, no pool is degraded."""
        reasons = self._not_ready()
        if reasons:
            return PlainTextResponse("".join(f"{reason}\n" for reason in reasons), status_code=503)
        return PlainTextResponse("ready\n")

    async def _look(self) -> FleetStatus:
        return await asyncio.to_thread(with_facts, fleet_status(self._fleet))

    def _not_ready(self) -> list[str]:
        fleet = self._fleet
        reasons = []
        if fleet.life.state is not FleetState.RUNNING:
            reasons.append(f"the fleet is {fleet.life.state.value}")
        if fleet.events.engine_state != "up":
            reasons.append(f"the engine is {fleet.events.engine_state}")
        reasons += [
            f"pool {pool.plan.name} is {pool.life.state.value}"
            for pool in fleet.pools
            if pool.life.state is not PoolState.READY
        ]
        return reasons
