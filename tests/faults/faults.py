"""What can happen to a call on its way, each a function of the exchange."""

from __future__ import annotations

import asyncio
import re

from tests.faults.proxy import Exchange, Fault

# slower than any patience
TRICKLE_SECONDS = 0.5
PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>Log in</body></html>"


async def reset_before(exchange: Exchange) -> None:
    """Of the request nothing but its head has come."""
    exchange.reset()


async def reset_within(exchange: Exchange) -> None:
    """Half of the request has come."""
    await exchange.read(0.5)
    exchange.reset()


async def reset_after(exchange: Exchange) -> None:
    """The request has come, and nobody acts on it."""
    await exchange.read()
    exchange.reset()


async def answer_lost(exchange: Exchange) -> None:
    """The service has acted."""
    await exchange.act()
    exchange.reset()


async def cut_short(exchange: Exchange) -> None:
    """Half of the body that the head promises, and the end."""
    head, body = await exchange.act()
    await exchange.send(head + body[: len(body) // 2])
    exchange.close()


async def halved(exchange: Exchange) -> None:
    """Half of the body, and a head that promises no more."""
    head, body = await exchange.act()
    half = body[: len(body) // 2]
    head = re.sub(rb"(?i)(\r\ncontent-length:) *\d+", rb"\1 %d" % len(half), head)
    await exchange.send(head + half)


async def trickle(exchange: Exchange) -> None:
    """Byte after byte, so that no read is without one for long."""
    head, body = await exchange.act()
    for byte in head + body:
        await exchange.send(bytes([byte]))
        await asyncio.sleep(TRICKLE_SECONDS)


async def hang(exchange: Exchange) -> None:
    """Nobody answers."""
    await exchange.read()
    await exchange.wait_until_given_up()


def html(status: int) -> Fault:
    """Something in between answers in the service's place."""

    async def page(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(_answer(status, PAGE, "text/html"))

    page.__name__ = f"html_{status}"
    return page


async def empty(exchange: Exchange) -> None:
    """The service has acted, and says nothing."""
    await exchange.act()
    await exchange.send(_answer(200, b""))


async def null(exchange: Exchange) -> None:
    """The service has acted, and says `null`."""
    await exchange.act()
    await exchange.send(_answer(200, b"null"))


async def array(exchange: Exchange) -> None:
    """The service has acted, and says `[]`."""
    await exchange.act()
    await exchange.send(_answer(200, b"[]"))


async def doubled(exchange: Exchange) -> None:
    """The request comes to the service twice, and the second answer to the client."""
    await exchange.act()
    await exchange.deliver(*await exchange.act())


FAULTS = (
    *(reset_before, reset_within, reset_after, answer_lost, cut_short, halved, trickle, hang),
    *(empty, null, array, doubled, *map(html, (200, 400, 403, 404, 502))),
)


def _answer(status: int, body: bytes, kind: str = "application/x-amz-json-1.0") -> bytes:
    head = f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
