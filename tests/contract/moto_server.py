"""moto's server as it is, without the sandbox's repairs."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.contract.emulator import Emulator


class MotoServer(Emulator):
    """What `moto_server` serves; its Rekognition says the same of every image."""

    health, reset_ = "/moto-api/data.json", "/moto-api/reset"

    def command(self) -> tuple[list[str | Path], dict[str, str]]:
        """As its users start it."""
        program = Path(sys.executable).with_name("moto_server")
        return [program, "-H", self.host, "-p", str(self.port)], {}
