"""Beam search with a language model beside pyctcdecode and flashlight-text alone, on the same emissions, on one core.

python benchmarks/decoding_speed.py MODEL --lm lm.bin --data dev.jsonl

pyctcdecode needs numpy 1 and the kenlm package, which is compiled: it gets a virtual environment of its own, in
build/pyctcdecode, made at the first run.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from steno import audio
from steno.cli.app import guarded
from steno.data.manifest import Manifest
from steno.decoding.beam import BeamDecoder
from steno.decoding.config import DecodingConfig
from steno.decoding.greedy import collapse
from steno.decoding.path import Emission
from steno.decoding.words import transcript
from steno.errors import StenoError
from steno.evaluation.score import score
from steno.lm import open_lm
from steno.runtime import DecodingOptions, Recognizer

PEER = Path("build/pyctcdecode")
PEER_NEEDS = ["numpy<2", "pyctcdecode==0.5.0", "kenlm==0.3.0"]

PEER_PROGRAM = """
import json, sys, time
import numpy as np
from pyctcdecode import build_ctcdecoder
emissions, labels, lm, words, beam, weight, score = json.loads(sys.argv[1])
kept = np.load(emissions)
parts = np.split(kept["log_probs"], np.cumsum(kept["frames"])[:-1])
unigrams = open(words, encoding="utf-8").read().split()
decoder = build_ctcdecoder(labels, lm, unigrams, alpha=weight, beta=score)
decoder.decode(parts[0], beam_width=beam)
for line in sys.stdin:
    times, texts = [], []
    for part in parts:
        started = time.perf_counter()
        texts.append(decoder.decode(part, beam_width=beam))
        times.append(time.perf_counter() - started)
    print(json.dumps([times, texts]), flush=True)
"""


def peer_python() -> Path:
    """The interpreter of pyctcdecode's environment, which is made if it is not there."""
    python = PEER / "bin" / "python"
    there = (
        python.exists()
        and not subprocess.run([python, "-c", "import pyctcdecode, kenlm"], capture_output=True).returncode
    )
    if not there:
        print(f"making {PEER} with {', '.join(PEER_NEEDS)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEER], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "cmake<4", "setuptools", "wheel"], check=True)
        path = {**os.environ, "PATH": f"{(PEER / 'bin').resolve()}:{os.environ['PATH']}"}
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEER_NEEDS], check=True, env=path)
    return python


def main(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    lm: Annotated[Path, typer.Option(help="A language model of words, in KenLM's form.")],
    data: Annotated[Path, typer.Option(help="A manifest with text.")],
    utterances: Annotated[int, typer.Option(help="How many emissions of about --seconds are made.")] = 40,
    seconds: Annotated[float, typer.Option(help="Utterances are joined to about so much audio.")] = 15.0,
    beam: Annotated[int, typer.Option(help="Readings kept after each frame.")] = 50,
    lm_weight: Annotated[float, typer.Option(help="Weight of the language model, for all.")] = 0.5,
    word_score: Annotated[float, typer.Option(help="Score of a word, for all.")] = 1.0,
    rounds: Annotated[int, typer.Option(help="Rounds; who goes first changes.")] = 3,
) -> None:
    """Decode the same emissions with all three, in turns."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    recognizer = Recognizer(model, threads=1, decoding=DecodingOptions(method="greedy"))
    samples, references = joined(Manifest(data), utterances, seconds, recognizer.sample_rate)
    emissions = recognizer.emissions(samples)
    tokens, per_frame = recognizer.tokenizer.tokens, recognizer.config.seconds_per_frame
    config = DecodingConfig(method="beam", beam=beam, lm="lm", lm_weight=lm_weight, word_score=word_score)
    ours = BeamDecoder(recognizer.tokenizer, config, lm)

    def steno() -> tuple[list[float], list[str]]:
        return timed(emissions, lambda e: transcript(ours.decode(e), e, tokens, per_frame).text)

    def flashlight() -> tuple[list[float], list[str]]:
        # What flashlight itself takes, on an array that has the closing frame already.
        closed = [ours._closed(e) for e in emissions]
        times, found = [], []
        for part, emission in zip(closed, emissions, strict=True):
            started = time.perf_counter()
            results = ours._decoder.decode(part.ctypes.data, *part.shape)
            times.append(time.perf_counter() - started)
            found.append(recognizer.tokenizer.decode(collapse(np.array(results[0].tokens[1 : len(emission) + 1]))))
        return times, [" ".join(text.split()) for text in found]

    with tempfile.TemporaryDirectory(prefix="steno-") as scratch:
        kept, listed = Path(scratch, "emissions.npz"), Path(scratch, "words.txt")
        np.savez(kept, frames=[len(e) for e in emissions], log_probs=np.concatenate(emissions))
        listed.write_text("\n".join(open_lm(lm).words()), encoding="utf-8")
        labels = ["" if token == "<blank>" else token for token in tokens]
        # Its weights multiply natural logarithms too; the score is one a word.
        told = [str(kept), labels, str(lm.resolve()), str(listed), beam, lm_weight, word_score]
        peer = subprocess.Popen(
            [peer_python(), "-c", PEER_PROGRAM, json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

        def pyctcdecode() -> tuple[list[float], list[str]]:
            assert peer.stdin is not None
            assert peer.stdout is not None
            peer.stdin.write("again\n")
            peer.stdin.flush()
            line = peer.stdout.readline()
            if not line:
                raise StenoError("pyctcdecode ended")
            times, texts = json.loads(line)
            return times, texts

        contenders: dict[str, Callable[[], tuple[list[float], list[str]]]] = {
            "steno": steno,
            "flashlight-text alone": flashlight,
            "pyctcdecode": pyctcdecode,
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        texts: dict[str, list[str]] = {}
        names = list(contenders)
        for turn in range(rounds):
            for name in names[turn % 3 :] + names[: turn % 3]:
                taken, texts[name] = contenders[name]()
                times[name] += taken
        peer.kill()
    length = sum(map(len, samples)) / recognizer.sample_rate / len(samples)
    table = Table(title=f"{len(samples)} × {length:.1f} s, beam {beam}, one core, {rounds} rounds")
    for column in ("", "median ms", "95 % ms", "WER", "against steno"):
        table.add_column(column, justify="right" if column else "left")
    base = median(times["steno"])
    for name in names:
        rates = score((str(i), ref, hyp) for i, (ref, hyp) in enumerate(zip(references, texts[name], strict=True)))
        ordered = sorted(times[name])
        late = ordered[math.ceil(0.95 * len(ordered)) - 1]
        row = [name, f"{1000 * median(ordered):.1f}", f"{1000 * late:.1f}", f"{rates.wer:.2%}"]
        table.add_row(*row, f"{median(ordered) / base:.2f} ×")
    Console().print(table)


def timed(parts: list[Emission], decode: Callable[[Emission], str]) -> tuple[list[float], list[str]]:
    """Seconds and text of each part."""
    times, texts = [], []
    for part in parts:
        started = time.perf_counter()
        texts.append(decode(part))
        times.append(time.perf_counter() - started)
    return times, texts


def joined(manifest: Manifest, count: int, seconds: float, rate: int) -> tuple[list[audio.Samples], list[str]]:
    """Utterances of one speaker joined, in the manifest's order, until each is about so long."""
    samples: list[audio.Samples] = []
    references: list[str] = []
    group: list[audio.Samples] = []
    words: list[str] = []
    speaker: str | None = None
    for utterance in manifest:
        if speaker is not None and utterance.speaker != speaker:
            group, words = [], []
        speaker = utterance.speaker
        group.append(audio.load(utterance.audio, rate))
        words.append(utterance.text or "")
        length = sum(map(len, group)) / rate
        if length >= 0.8 * seconds:
            if length <= 1.3 * seconds:
                samples.append(np.concatenate(group))
                references.append(" ".join(words))
            group, words = [], []
        if len(samples) == count:
            break
    return samples, references


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
