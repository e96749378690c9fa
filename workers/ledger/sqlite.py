"""The ledger in one SQLite file, for a pair of workers with a disk each."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path

from workers.answer import Answer
from workers.ledger.sqlite_file import ReadOnlyFile, Row, SqliteFile
from workers.model import (
    Decision,
    Label,
    LabelCounts,
    Labels,
    Listed,
    Part,
    Picture,
    Result,
    RunEnd,
    RunProgress,
    as_plain,
    dump,
    load,
    natural_key,
)
from workers.output.rows import ResultRow, result_row


class SqliteLedger:
    """The ledger in one SQLite file; raises what `SqliteFile` does."""

    fleet = None
    refresh_seconds, refresh_growth = 0.5, 0.0

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self._file = ReadOnlyFile(path) if read_only else SqliteFile(path)

    def close(self) -> None:
        self._file.close()

    # --- what both keep ------------------------------------------------------------------------

    def answers(
        self, kind: str, pictures: list[Picture], surely: Collection[Picture] | None = None
    ) -> dict[Picture, bytes]:
        del surely  # a file shows whatever is in it
        rows = self._file.read("answers", kind=kind, pictures=json.dumps(pictures))
        return {Picture(etag, size): packed for etag, size, packed in rows}

    def keep(self, picture: Picture, answer: Answer) -> Future[None]:
        row = {
            **picture._asdict(),
            "kind": answer.KIND,
            "floor": answer.floor,
            "packed": answer.pack(),
        }
        return self._file.write("keep", row)

    def all_answers(self) -> Iterator[tuple[str, Picture, bytes]]:
        for kind, etag, size, packed in self._file.stream("all_answers"):
            yield kind, Picture(etag, size), packed

    def settle(self, run: str, settings: dict[str, str]) -> Future[None]:
        rows = [{"run": run, "name": name, "value": value} for name, value in settings.items()]
        return self._file.write("settle", *rows)

    def settled(self, run: str) -> dict[str, str]:
        return dict(self._file.read("settled", run=run))

    def runs(self) -> list[str]:
        """The runs that anything is kept of."""
        return [run for (run,) in self._file.read("runs")]

    def forget(self, run: str) -> None:
        """Lets go of all that is kept of a run; answers are no run's, and stay."""
        self._file.forget(run)

    # --- the label worker's side ---------------------------------------------------------------

    def listed(self, run: str) -> Listed:
        for parts, images, reached, whole, of in self._file.read("listed", run=run):
            return Listed(parts, images, reached, bool(whole), of)
        return Listed()

    def list_parts(self, run: str, parts: list[Part], listed: Listed) -> Future[None]:
        rows = [{"run": run, **as_plain(part)} for part in parts]
        how_far: Row = {"run": run, **as_plain(listed)}
        return self._file.write_together({"list_part": rows, "keep_listed": [how_far]})

    def open_parts(self, run: str) -> Iterator[Part]:
        return (Part(*row) for row in self._file.stream("open_parts", run=run))

    def end_part(self, run: str, number: int) -> Future[None]:
        return self._file.write("end_part", {"run": run, "number": number})

    def undecided(self, run: str, indexes: list[str]) -> set[str]:
        return set(indexes) - self._known("decided", run, indexes)

    def decide(self, decisions: list[Decision]) -> Future[list[Decision]]:
        # nobody else decides: each is kept
        return self._file.write("decide", *map(_decision_row, decisions), gives=decisions)

    def sent(self, decisions: list[Decision]) -> Future[None]:
        return self._file.write("sent", *({"run": d.run, "index": d.index} for d in decisions))

    def unsent(
        self, run: str, part: Part, indexes: Iterable[str] | None = None
    ) -> Iterator[Decision]:
        del indexes  # a part's are found by an index of the file
        return self._decisions("unsent", run, part=part.number)

    def labelled(self, run: str) -> Iterator[Decision]:
        return self._decisions("labelled", run)

    def failures(self, run: str) -> Iterator[Decision]:
        return self._decisions("failures", run)

    def near(self, run: str) -> Iterator[Decision]:
        return self._decisions("near", run)

    def label_counts(self, run: str, recount: bool = False) -> LabelCounts:
        del recount  # each is counted in the transaction that writes it
        rows = self._file.read("label_counts", run=run)
        return LabelCounts(*rows[0]) if rows else LabelCounts()

    def end_run(self, end: RunEnd) -> Future[None]:
        return self._file.write("end_run", as_plain(end))

    def run_end(self, run: str) -> RunEnd | None:
        rows = self._file.read("run_end", run=run)
        return RunEnd(run, *rows[0]) if rows else None

    def _decisions(self, name: str, run: str, **more: int) -> Iterator[Decision]:
        for part, index, etag, size, labels, failure, known, near in self._file.stream(
            name, run=run, **more
        ):
            yield Decision(
                run,
                part,
                index,
                Picture(etag, size),
                load(Labels, labels) if labels else (),
                failure,
                bool(known),
                load(Label, near) if near else None,
            )

    # --- the text worker's side ----------------------------------------------------------------

    def not_done(
        self, run: str, indexes: list[str], surely: Collection[str] | None = None
    ) -> set[str]:
        del surely  # a file shows whatever is in it
        return set(indexes) - self._known("done", run, indexes)

    def complete(self, results: list[Result]) -> Future[None]:
        return self._file.write("complete", *map(_result_values, results))

    def record_end(self, end: RunEnd) -> Future[None]:
        return self._file.write("record_end", as_plain(end))

    def record_foreign_end(self, run: str) -> Future[None]:
        return self._file.write("record_foreign_end", {"run": run})

    def progress(self, run: str) -> RunProgress:
        ((done, with_text, failed, expected, foreign_end, by_hand, known),) = self._file.read(
            "progress", run=run
        )
        return RunProgress(done, with_text, failed, expected, bool(foreign_end), by_hand, known)

    def results(self, run: str) -> Iterator[ResultRow]:
        return map(ResultRow._make, self._file.stream("results", run=run))

    def _known(self, name: str, run: str, indexes: list[str]) -> set[str]:
        return {index for (index,) in self._file.read(name, run=run, indexes=dump(indexes))}


def _decision_row(decision: Decision) -> Row:
    return {
        "run": decision.run,
        "part": decision.part,
        "index": decision.index,
        **decision.picture._asdict(),
        "labels": dump(decision.labels, Labels) if decision.labels else None,
        "failure": decision.failure,
        "known": decision.known,
        "near": dump(decision.near) if decision.near else None,
    }


def _result_values(result: Result) -> Row:
    row, line = result_row(result)
    return {
        "run": result.run,
        "index": result.filed,
        "sort_key": natural_key(result.index),
        "row": row,
        "line": line,
        "failed": result.failure is not None,
        "known": result.known,
    }
