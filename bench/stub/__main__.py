"""The stub's process: `python -m bench.stub SCENARIO-AS-JSON`; leaves when its input ends."""

from __future__ import annotations

import asyncio
import json
import sys

from bench.stub.http import Connection
from bench.stub.scenario import Scenario
from bench.stub.server import Server


async def main() -> None:
    """Serves until the input ends."""
    server = Server(Scenario(**json.loads(sys.argv[1])))
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: Connection(server.handle), "127.0.0.1", 0, backlog=2048
    )
    print(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    listener.close()


asyncio.run(main())
