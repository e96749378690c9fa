"""The label worker, but it asks for one label and keeps no other, as before answers were kept.

`python -m bench.one_label label`; `bench.answers` measures it beside today's.
"""

from __future__ import annotations

import gc
from contextlib import closing
from functools import partial

from console.services import services_on
from workers import log
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.label_worker import LabelWorker
from workers.ledger import open_ledger
from workers.settings import Settings
from workers.threads.stop import Stop


def main() -> None:
    """Runs it to its end."""
    settings, stop = Settings(log_format="json"), Stop()  # type: ignore[call-arg]
    log.configure(settings, "label")
    gc.set_threshold(20_000)
    s3, sqs, rekognition = make_clients(settings, "s3", "sqs", "rekognition")
    only = {"GeneralLabels": {"LabelInclusionFilters": list(settings.label)}}
    rekognition.detect_labels = partial(rekognition.detect_labels, Settings=only)
    with closing(open_ledger(settings, stop)) as ledger:
        calls = Calls(settings, stop)
        services = services_on(settings, ledger, stop, calls, (s3, sqs, rekognition))
        LabelWorker(settings, services, stop).run()


if __name__ == "__main__":
    main()
