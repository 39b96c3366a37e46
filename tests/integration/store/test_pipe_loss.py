"""A PostgreSQL that dies at the worst moment is noticed by the hot connection, also on uvloop."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import psycopg
import pytest
import uvloop

from moorage.store.database import Database
from moorage.store.pipe import Pipe
from moorage.store.settings import StoreSettings

SOCKET = ".s.PGSQL.5432"
FIELDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0"
LAST_WORDS = b"E" + struct.pack("!I", len(FIELDS) + 4) + FIELDS


class DyingServer:
    """A proxy that, once told to ``die``, leaves the next statement unread, says its last words and is gone."""

    def __init__(self, directory: Path, target: Path) -> None:
        self.die = threading.Event()
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / SOCKET))
        self._listener.listen()
        self._thread = threading.Thread(target=self._carry, name="dying server")
        self._thread.start()

    def close(self) -> None:
        self._thread.join(10)
        self._listener.close()

    def _carry(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._target))
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    if ready is client and self.die.is_set():
                        client.sendall(LAST_WORDS)
                        return
                    data = ready.recv(65536)
                    if not data:
                        return
                    (server if ready is client else client).sendall(data)


@pytest.fixture
def dying(database_url: str) -> Iterator[tuple[DyingServer, str]]:
    """The proxy, and the URL that leads through it."""
    parts = urlsplit(database_url)
    with tempfile.TemporaryDirectory(prefix="moorage-") as name:
        query = f"host={quote(name, safe='')}&port=5432"
        server = DyingServer(Path(name), Path(parse_qs(parts.query)["host"][0]) / SOCKET)
        yield server, urlunsplit(parts._replace(query=query))
        server.close()


Runner = Callable[[Coroutine[Any, Any, None]], None]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_server_that_dies_with_a_statement_unread_is_noticed(dying: tuple[DyingServer, str], run: Runner) -> None:
    server, url = dying

    async def main() -> None:
        database = Database(url, password=None, server_name="dying", settings=StoreSettings())
        connection = await database.connect()
        await connection.execute("PREPARE one AS SELECT 1")
        pipe = Pipe(connection, lost=lambda: None)
        result = await asyncio.wait_for(pipe.execute(b"one", ()), 5)
        assert result.ntuples == 1
        server.die.set()
        with pytest.raises(psycopg.OperationalError):
            await asyncio.wait_for(pipe.execute(b"one", ()), 5)
        assert not pipe.open
        await pipe.close()

    run(main())
