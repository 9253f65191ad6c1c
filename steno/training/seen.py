"""The log of utterances: which ids each step has seen, in every process."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SEEN = "utterances.tsv"


class Seen(NamedTuple):
    """An utterance that a step has met, and whether it was used."""

    id: str
    used: bool


class SeenLog:
    """Appends to ``RUN_DIR/utterances.tsv``: epoch, step, process, id, and ``used`` or ``skipped``; from 1 and from 0.

    A run that goes on from a checkpoint cuts off the steps after it, as its weights have forgotten them. So the log
    says what the weights have seen, whatever was killed on the way.

    Args:
        run_dir: the run's folder.
        steps: steps that the run has made.
    """

    def __init__(self, run_dir: Path, steps: int) -> None:
        path = run_dir / SEEN
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        kept = [line for line in lines if line.endswith("\n") and int(line.split("\t")[1]) <= steps]
        partial = path.with_name(path.name + ".part")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(path)
        self._file = path.open("a", encoding="utf-8")

    def write(self, epoch: int, step: int, everyone: Sequence[Sequence[Seen]]) -> None:
        """Note a step; ``everyone`` has the utterances of each process."""
        self._file.writelines(
            f"{epoch}\t{step}\t{process}\t{' '.join(one.id.split())}\t{'used' if one.used else 'skipped'}\n"
            for process, seen in enumerate(everyone)
            for one in seen
        )
        self._file.flush()
