"""A long recording beside its utterances one by one: word error rate, and memory at several lengths.

python benchmarks/long_recording.py MODEL --data dev.jsonl --minutes 5 --minutes 30

Utterances of a manifest are joined, in its order, to recordings; each is transcribed by ``steno transcribe`` in a
process of its own, whose greatest memory is taken.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import soundfile
import typer
from rich.console import Console
from rich.table import Table

from steno import audio
from steno.cli.app import guarded
from steno.data.manifest import Manifest
from steno.errors import StenoError
from steno.evaluation.bootstrap import Interval
from steno.evaluation.score import Scores, score

RUN = """
import resource, sys
from steno.cli import main
try:
    main()
finally:
    sys.stderr.write(f"\\npeak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\\n")
"""

RATE = audio.SAMPLE_RATE


def transcribed(arguments: list[str]) -> tuple[list[dict[str, str]], float]:
    """What ``steno transcribe`` prints, and its greatest memory in MiB.

    Raises:
        StenoError: it failed.
    """
    command = [sys.executable, "-c", RUN, "transcribe", *arguments, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise StenoError(f"steno transcribe: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    return orjson.loads(done.stdout), int(done.stderr.rsplit("peak ", 1)[1]) / 1024


def main(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    data: Annotated[Path, typer.Option(help="A manifest with text.")],
    minutes: Annotated[list[float], typer.Option(help="Lengths of the recordings; may be repeated.")],
    decoder: Annotated[str | None, typer.Option(help="Passed on to steno transcribe.")] = None,
) -> None:
    """Transcribe joined recordings of several lengths."""
    options = ["--model", str(model), *(["--decoder", decoder] if decoder else [])]
    table = Table(title=f"{model}, utterances of {data} joined")
    for column in ("minutes", "utterances", "WER of the recording", "WER one by one", "peak memory"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory(prefix="steno-") as scratch:
        for length in sorted(minutes):
            chosen, samples, total = [], [], 0
            for utterance in Manifest(data):
                if total >= length * 60 * RATE:
                    break
                samples.append(audio.load(utterance.audio))
                total += len(samples[-1])
                chosen.append(utterance)
            recording = Path(scratch, f"{length:g}.wav")
            soundfile.write(recording, np.concatenate(samples), RATE)
            samples.clear()
            rows, peak = transcribed([str(recording), *options])
            reference = " ".join(utterance.text or "" for utterance in chosen)
            whole = score([("recording", reference, rows[0]["text"])])
            single, _ = transcribed([*(str(utterance.audio) for utterance in chosen), *options])
            alone = score((u.id, u.text or "", row["text"]) for u, row in zip(chosen, single, strict=True))
            table.add_row(
                f"{total / RATE / 60:.1f}",
                str(len(chosen)),
                f"{whole.wer:.2%}",
                _with_interval(alone),
                f"{peak:.0f} MiB",
            )
    Console().print(table)


def _with_interval(scores: Scores) -> str:
    interval: Interval = scores.wer_interval()
    return f"{scores.wer:.2%} ({interval.low:.1%}–{interval.high:.1%})"


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
