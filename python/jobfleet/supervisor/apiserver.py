"""Serves the control API on the supervisor's loop, without a tick and without a cost until somebody connects."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

from jobfleet.supervisor.controlsocket import ControlSocket, peer
from jobfleet.supervisor.fleet import Fleet
from jobfleet.supervisor.log import Log

# Whoever has connected waits for so long when the API could not be imported.
_TRY_AGAIN_S: Final = 1.0


class ApiServer:
    """Waits for the first connection, and only then imports what it takes to answer."""

    def __init__(self, control: ControlSocket, fleet: Fleet, log: Log) -> None:
        self._control = control
        self._fleet = fleet
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._waking: asyncio.Task[None] | None = None
        self._server: asyncio.AbstractServer | None = None

    def start(self) -> None:
        """Listen."""
        self._loop.add_reader(self._control.listener, self._first_connection)

    def close(self) -> None:
        """Listen no more; connections end with the process."""
        self._loop.remove_reader(self._control.listener)
        if self._waking is not None:
            self._waking.cancel()
        if self._server is not None:
            self._server.close()

    def _first_connection(self) -> None:
        self._loop.remove_reader(self._control.listener)
        self._waking = self._loop.create_task(self._wake())

    async def _wake(self) -> None:
        try:
            # In a thread, so that crashes are still answered within milliseconds meanwhile.
            protocol = await asyncio.to_thread(_protocol_factory, self._fleet, self._loop)
        except Exception as error:
            # Without descriptors nothing can be imported; that may pass.
            self._log.error(f"the control API cannot answer yet: {error!r}")
            self._loop.call_later(_TRY_AGAIN_S, self.start)
            return
        self._server = await self._loop.create_unix_server(protocol, sock=self._control.listener)


def _protocol_factory(fleet: Fleet, loop: asyncio.AbstractEventLoop) -> Callable[[], asyncio.Protocol]:
    """Uvicorn's protocol for the API. Its `Server` is left out: it wakes up ten times a second."""
    from uvicorn.config import Config  # noqa: PLC0415 - costs memory and 0.1 s; most fleets are never asked
    from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415
    from uvicorn.server import ServerState  # noqa: PLC0415

    from jobfleet.supervisor.api import Api  # noqa: PLC0415

    class Guarded(H11Protocol):
        """Talks to this user and root only."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connection = transport.get_extra_info("socket")
            if peer(connection)[1] not in (os.getuid(), 0):
                transport.close()
                return
            super().connection_made(transport)  # type: ignore[arg-type]

        # A refused connection was never made.
        def data_received(self, data: bytes) -> None:
            if self.transport is not None:
                super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            if self.transport is not None:
                super().connection_lost(exc)

    config = Config(Api(fleet).app(), http="h11", ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    state = ServerState()
    shared: dict[str, Any] = {}
    return lambda: Guarded(config=config, server_state=state, app_state=shared, _loop=loop)
