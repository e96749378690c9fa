"""The stub's process: `python -m bench.stub SCENARIO-AS-JSON`; leaves when its input ends.

Its first line says as JSON where it is and, with TLS, by which authority it is known.
"""

from __future__ import annotations

import asyncio
import json
import sys

from bench.stub.http import Connection
from bench.stub.scenario import Scenario
from bench.stub.server import Server
from sandbox.aws.tls import serve_as

HOST = "127.0.0.1"


async def main() -> None:
    """Serves until the input ends."""
    scenario = Scenario(**json.loads(sys.argv[1]))
    server = Server(scenario)
    context, authority = serve_as(HOST) if scenario.tls else (None, b"")
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: Connection(server.handle), HOST, 0, backlog=2048, ssl=context
    )
    address = f"{HOST}:{listener.sockets[0].getsockname()[1]}"
    endpoint = f"{'https' if context else 'http'}://{address}"
    print(json.dumps({"endpoint": endpoint, "authority": authority.decode()}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    listener.close()


asyncio.run(main())
