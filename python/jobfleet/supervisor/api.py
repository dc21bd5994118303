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
from jobfleet.supervisor.commands import PoolAnswer, Refused
from jobfleet.supervisor.fleet import Fleet
from jobfleet.supervisor.lifecycle import FleetState, PoolState
from jobfleet.supervisor.reloadorder import ReloadOutcome, ReloadRefused
from jobfleet.supervisor.status import FleetStatus, fleet_status, with_facts

_encode = msgspec.json.Encoder(enc_hook=str).encode
_JSON = "application/json"


class Api:
    """The handlers of all routes. What they refuse is told as `{"error": "one sentence"}`."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/v1/status", self.status),
            Route("/v1/events", self.events),
            Route("/v1/drain", self.drain, methods=["POST"]),
            Route("/v1/reload", self.reload, methods=["POST"]),
            Route("/v1/pools/{pool}/{command}", self.command, methods=["POST"]),
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

    async def reload(self, request: Request) -> Response:
        """Reload every pool. Answers at once, or with `?wait=true` when it is over."""
        try:
            ended = self._fleet.reloader.request("asked to over the control API")
        except ReloadRefused as refused:
            return _refusal(409, str(refused))
        return await _reloaded(request, ended)

    async def command(self, request: Request) -> Response:
        """Scale, restart, pause, resume or drain one pool."""
        name, command = request.path_params["pool"], request.path_params["command"]
        commands = self._fleet.commands
        try:
            if command == "scale":
                return _answer(commands.scale(name, await _processes(request)))
            if command == "restart":
                return await _reloaded(request, commands.restart(name))
            if command == "resume":
                resumed = commands.resume(name)
                return _answer(resumed) if isinstance(resumed, PoolAnswer) else await _reloaded(request, resumed)
            if command in ("pause", "drain"):
                return _answer(commands.pause(name) if command == "pause" else commands.drain(name))
        except Refused as refused:
            return _refusal(refused.status, str(refused))
        return _refusal(404, f"pools know no command {command!r}; there are scale, restart, pause, resume and drain")

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
            for pool in fleet.pools.current.values()
            if pool.life.state in (PoolState.STARTING, PoolState.DEGRADED)
        ]
        return reasons


def _answer(answer: PoolAnswer | ReloadOutcome, status: int = 200) -> Response:
    return Response(_encode(answer), status_code=status, media_type=_JSON)


def _refusal(status: int, error: str) -> Response:
    return JSONResponse({"error": error}, status_code=status)


async def _reloaded(request: Request, ended: asyncio.Future[ReloadOutcome]) -> Response:
    """202 with the reload as it begins; with `wait` 200 or 422 with its outcome."""
    if request.query_params.get("wait", "").lower() not in ("1", "true", "yes"):
        return JSONResponse({"state": "accepted"}, status_code=202)
    # Whoever asked may go away; the reload goes on.
    outcome = await asyncio.shield(ended)
    return _answer(outcome, 200 if outcome.state == "done" else 422)


async def _processes(request: Request) -> object:
    """Raises `Refused` for a body that is not `{"processes": N}`."""
    try:
        body = msgspec.json.decode(await request.body())
    except msgspec.DecodeError as error:
        raise Refused(400, f'the body must be JSON, such as {{"processes": 4}}: {error}') from None
    if not isinstance(body, dict) or set(body) != {"processes"}:
        raise Refused(400, 'the body must be a JSON object with `processes` alone, such as {"processes": 4}')
    return body["processes"]
