"""A worker at work: with its place in the state folder, its ledger, its services, its stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Protocol

from console.open_files import allow_files
from console.services import make_services
from console.state_lock import alone
from console.tell import telling
from workers.alive import Alive
from workers.ledger import Ledger, open_ledger
from workers.services import Services
from workers.settings import Settings
from workers.threads.stop import Stop


class Worker(Protocol):
    """What a worker of either kind is."""

    def run(self) -> None:
        """Works until its run is done; raises WorkerError when it ends before that."""


def work(
    settings: Settings, kind: str, worker: Callable[[Settings, Services, Stop], Worker]
) -> None:
    """Makes a worker of this kind, and has it work."""
    with (
        working(settings, kind) as (ledger, stop),
        telling(settings, kind, ledger),
        Alive(ledger.fleet, kind, stop) if ledger.fleet else nullcontext() as alive,
    ):
        worker(settings, make_services(settings, ledger, stop, alive), stop).run()


@contextmanager
def working(settings: Settings, kind: str) -> Iterator[tuple[Ledger, Stop]]:
    """The ledger and the stop of who works as this kind; RunError where another one does."""
    stop = Stop()
    stop.on_signals()
    allow_files(settings)
    with alone(settings.state_dir, kind), closing(open_ledger(settings, stop)) as ledger:
        yield ledger, stop
