"""A proxy between the workers and their services: it knows what is asked, and may spoil it."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Protocol, Self

Fault = Callable[["Exchange"], Awaitable[None]]

# seconds that a client waits for an answer, a minute in earnest; on a busy machine it may be that
# nobody has waited for one that comes in the second half of them
ATTEMPT_SECONDS = 4.0
ABORT = struct.pack("ii", 1, 0)


class Blow(Enum):
    """What may happen to who asks."""

    KILL = "killed"
    STOP = "asked to stop"
    CUT = "its power is cut"


class Life(Protocol):
    """Who asks: one start of a worker."""

    def strike(self, blow: Blow) -> None:
        """Does that to it, if it has not ended."""

    def saw(self, operation: str, request: bytes, answer: bytes) -> None:
        """Hears what the service has done for it; two bodies."""


class Asker(Protocol):
    """Whose calls come to a proxy, from life to life."""

    @property
    def life(self) -> Life:
        """Its present one."""

    def meets(self, operation: str, number: int) -> Fault | None:
        """What happens to the n-th call, from 1, of an operation, if anything."""


class Exchange:
    """One request and its answer, and all that can be done to them on their way."""

    def __init__(
        self,
        head: bytes,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        service: tuple[str, int],
        lost: Counter[str],
        life: Life,
    ) -> None:
        self._head, self._body = head, b""
        self._reader, self._writer = client
        self._service = service
        self._lost = lost
        self._due = time.monotonic() + ATTEMPT_SECONDS / 2
        self._life = life
        self.strike = life.strike
        self.operation = _operation(head)
        self.when_acted: Callable[[], object] = lambda: None
        """Called between the service's effect and its answer."""

    async def read(self, share: float = 1.0) -> None:
        """Reads this share of the request's body."""
        left = int(_length(self._head) * share) - len(self._body)
        self._body += await self._reader.readexactly(left)

    async def act(self) -> tuple[bytes, bytes]:
        """Has the service act; its answer's head and body, which count as lost until `deliver`."""
        await self.read()
        reader, writer = await asyncio.open_connection(*self._service)
        try:
            writer.write(self._head + self._body)
            self._lost[self.operation] += 1
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
            if b" 200 " in head.partition(b"\r\n")[0]:
                self._life.saw(self.operation, self._body, body)
            self.when_acted()
            return head, body
        finally:
            writer.close()

    async def deliver(self, head: bytes, body: bytes) -> None:
        """Gives the client the whole answer."""
        # on a busy machine the client may be gone by now
        is_awaited = not self._reader.at_eof() and time.monotonic() < self._due
        await self.send(head + body)
        self._lost[self.operation] -= is_awaited

    async def send(self, data: bytes) -> None:
        """Gives the client any bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def wait_until_given_up(self) -> None:
        """Returns when the client has closed the connection."""
        await self._reader.read()

    def close(self) -> None:
        """Ends the connection in good order."""
        self._writer.close()

    def reset(self) -> None:
        """Breaks the connection off, so that the client has an error and not an end."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        self._writer.transport.abort()


async def pass_on(exchange: Exchange) -> None:
    """Nothing happens to it."""
    await exchange.deliver(*await exchange.act())


class Proxy:
    """Listens on loopback for the calls of one worker, until it is left."""

    def __init__(self, service: tuple[str, int], asker: Asker) -> None:
        self._service = service
        self._asker = asker
        self._calls: Counter[str] = Counter()
        self._clients: set[asyncio.Task[None]] = set()
        self.dealt: list[str] = []
        """The faults so far."""
        self.lost: Counter[str] = Counter()
        """Answers that the service gave and no client got, by operation."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.endpoint = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for client in self._clients:
            client.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client: Any = asyncio.current_task()
        self._clients.add(client)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                life = self._asker.life
                exchange = Exchange(head, (reader, writer), self._service, self.lost, life)
                await self._pass_on(exchange)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # one of the two has gone, or the run is over
        finally:
            self._clients.discard(client)
            writer.close()

    async def _pass_on(self, exchange: Exchange) -> None:
        operation = exchange.operation
        self._calls[operation] += 1
        number = self._calls[operation]
        fault = self._asker.meets(operation, number)
        if fault:
            self.dealt.append(f"{operation} {number}: {fault.__name__}")
        await (fault or pass_on)(exchange)


def _operation(head: bytes) -> str:
    if target := re.search(rb"(?i)\r\nx-amz-target: *[^.]+\.(\w+)", head):
        return target[1].decode()
    return "ListObjectsV2" if b"list-type=2" in head.split(b"\r\n")[0] else "GetObject"


def _length(head: bytes) -> int:
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(length[1]) if length else 0
