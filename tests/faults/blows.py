"""A call that is the last one of who asks: a blow at a moment of it, whatever else it meets."""

from __future__ import annotations

import asyncio
from enum import Enum
from functools import cache

from tests.faults.proxy import Blow, Exchange, Fault


class Moment(Enum):
    """When."""

    UNDER_WAY = "while it asks"
    """The request is under way, and comes to the service all the same."""
    ACTED = "between effect and answer"
    OVER = "after that"
    """It works on the answer, or waits for its next try."""


def struck(fault: Fault, moment: Moment, blow: Blow, seconds: float = 0.0) -> Fault:
    """The fault and the blow; one after it comes `seconds` later."""

    async def meet(exchange: Exchange) -> None:
        strike = cache(lambda: exchange.strike(blow))
        if moment is Moment.UNDER_WAY:
            strike()
        elif moment is Moment.ACTED:
            exchange.when_acted = strike
        try:
            await fault(exchange)
        finally:
            # also where the service has not acted, or a client does not wait
            if moment is Moment.OVER:
                await asyncio.sleep(seconds)
            strike()

    meet.__name__ = f"{fault.__name__}, {blow.value} {moment.value}"
    return meet
