"""Beam search with a language model beside pyctcdecode and flashlight-text alone, on the same emissions, on one core.

python benchmarks/decoding_speed.py MODEL --lm lm.bin --data dev.jsonl

A language model's weight does not mean the same to two decoders: pyctcdecode takes words that its model does not know,
Steno with a lexicon does not. So each has weights of its own, the best of one grid on emissions that the comparison
does not use; --lm-weight and --word-score set them for all instead.

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
from collections.abc import Callable, Iterator, Sequence
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
from steno.evaluation.significance import matched_pairs
from steno.lm import open_lm
from steno.runtime import DecodingOptions, Recognizer

Weights = tuple[float, float]
"""Of the language model, and the score of a word."""
Decode = Callable[[slice, Weights], tuple[list[float], list[str]]]

GRID: list[Weights] = [(weight, word) for weight in (0.35, 0.5, 0.65, 0.8, 1.0) for word in (-1.0, 0.0, 1.0, 2.0, 3.5)]

PEER = Path("build/pyctcdecode")
PEER_NEEDS = ["numpy<2", "pyctcdecode==0.5.0", "kenlm==0.3.0"]

PEER_PROGRAM = """
import json, sys, time
import numpy as np
from pyctcdecode import build_ctcdecoder
emissions, labels, lm, words, beam = json.loads(sys.argv[1])
kept = np.load(emissions)
parts = np.split(kept["log_probs"], np.cumsum(kept["frames"])[:-1])
unigrams = open(words, encoding="utf-8").read().split()
decoder = build_ctcdecoder(labels, lm, unigrams)
decoder.decode(parts[0], beam_width=beam)
for line in sys.stdin:
    first, last, weight, score = json.loads(line)
    decoder.reset_params(alpha=weight, beta=score)
    times, texts = [], []
    for part in parts[first:last]:
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
    utterances: Annotated[int, typer.Option(help="How many emissions of about --seconds are compared.")] = 40,
    tuned_on: Annotated[int, typer.Option(help="How many others the weights are tuned on.")] = 40,
    seconds: Annotated[float, typer.Option(help="Utterances are joined to about so much audio.")] = 15.0,
    beam: Annotated[int, typer.Option(help="Readings kept after each frame.")] = 50,
    lm_weight: Annotated[float | None, typer.Option(help="Weight of the language model, for all; not tuned.")] = None,
    word_score: Annotated[float | None, typer.Option(help="Score of a word, for all; not tuned.")] = None,
    rounds: Annotated[int, typer.Option(help="Rounds; who goes first changes.")] = 3,
) -> None:
    """Decode the same emissions with all three, in turns."""
    if (lm_weight is None) != (word_score is None):
        raise StenoError("--lm-weight and --word-score go together", "Give both, or neither, and they are tuned.")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    recognizer = Recognizer(model, threads=1, decoding=DecodingOptions(method="greedy"))
    others = tuned_on if lm_weight is None else 0
    samples, references = joined(Manifest(data), others + utterances, seconds, recognizer.sample_rate)
    if len(samples) <= others:
        raise StenoError(f"{data}: only {len(samples)} of about {seconds:g} s", "Ask for fewer, or give more data.")
    if others:  # those to tune on come from all speakers, as the rest do
        apart = set(np.linspace(0, len(samples) - 1, others).round().astype(int).tolist())
        order = sorted(range(len(samples)), key=lambda place: place not in apart)
        samples, references = [samples[i] for i in order], [references[i] for i in order]
    emissions = recognizer.emissions(samples)
    tuning, compared = slice(0, others), slice(others, len(samples))

    with tempfile.TemporaryDirectory(prefix="steno-") as scratch:
        ours = Ours(recognizer, lm, beam, emissions)
        peer = Peer(recognizer, lm, beam, emissions, Path(scratch))
        weights: dict[str, Weights] = {}
        for name, decode in (("steno", ours.decode), ("pyctcdecode", peer.decode)):
            if lm_weight is not None and word_score is not None:
                weights[name] = (lm_weight, word_score)
                continue
            found = {each: wer(references[tuning], decode(tuning, each)[1]) for each in GRID}
            weights[name] = min(found, key=found.__getitem__)
        weights["flashlight-text alone"] = weights["steno"]
        contenders: dict[str, Decode] = {
            "steno": ours.decode,
            "flashlight-text alone": ours.flashlight,
            "pyctcdecode": peer.decode,
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        texts: dict[str, list[str]] = {}
        names = list(contenders)
        for turn in range(rounds):
            for name in names[turn % 3 :] + names[: turn % 3]:
                taken, texts[name] = contenders[name](compared, weights[name])
                times[name] += taken
        peer.close()
    shown = samples[compared]
    length = sum(map(len, shown)) / recognizer.sample_rate / len(shown)
    tuned = f"weights tuned on {others} others" if others else "weights as given"
    table = Table(title=f"{len(shown)} × {length:.1f} s, beam {beam}, one core, {rounds} rounds; {tuned}")
    for column in ("", "LM weight, word score", "median ms", "95 % ms", "WER", "against steno", "p that WERs differ"):
        table.add_column(column, justify="right" if column else "left")
    base = median(times["steno"])
    for name in names:
        rates = score(pairs(references[compared], texts[name]))
        interval = rates.wer_interval()
        ordered = sorted(times[name])
        late = ordered[math.ceil(0.95 * len(ordered)) - 1]
        table.add_row(
            name,
            "{:g}, {:g}".format(*weights[name]),
            f"{1000 * median(ordered):.1f}",
            f"{1000 * late:.1f}",
            f"{100 * rates.wer:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})",
            f"{median(ordered) / base:.2f} ×",
            "" if name == "steno" else f"{differ(references[compared], texts['steno'], texts[name]):.2f}",
        )
    Console().print(table)


class Ours:
    """Steno's beam search, and flashlight's own share of it."""

    def __init__(self, recognizer: Recognizer, lm: Path, beam: int, emissions: Sequence[Emission]) -> None:
        self._recognizer = recognizer
        self._lm = lm
        self._beam = beam
        self._emissions = emissions
        self._decoder: tuple[Weights, BeamDecoder] | None = None

    def decode(self, which: slice, weights: Weights) -> tuple[list[float], list[str]]:
        """Seconds and text of each emission."""
        decoder = self._at(weights)
        tokens, per_frame = self._recognizer.tokenizer.tokens, self._recognizer.config.seconds_per_frame
        return timed(self._emissions[which], lambda e: transcript(decoder.decode(e), e, tokens, per_frame).text)

    def flashlight(self, which: slice, weights: Weights) -> tuple[list[float], list[str]]:
        """The same with the time of flashlight alone, on an array that has the closing frame already."""
        decoder, tokenizer = self._at(weights), self._recognizer.tokenizer
        times, found = [], []
        for emission in self._emissions[which]:
            closed = decoder._closed(emission)
            started = time.perf_counter()
            results = decoder._decoder.decode(closed.ctypes.data, *closed.shape)
            times.append(time.perf_counter() - started)
            found.append(tokenizer.decode(collapse(np.array(results[0].tokens[1 : len(emission) + 1]))))
        return times, [" ".join(text.split()) for text in found]

    def _at(self, weights: Weights) -> BeamDecoder:
        if self._decoder is None or self._decoder[0] != weights:
            lm_weight, word_score = weights
            config = DecodingConfig(method="beam", beam=self._beam, lm="lm", lm_weight=lm_weight, word_score=word_score)
            self._decoder = weights, BeamDecoder(self._recognizer.tokenizer, config, self._lm)
        return self._decoder[1]


class Peer:
    """pyctcdecode, in a process and an environment of its own."""

    def __init__(
        self, recognizer: Recognizer, lm: Path, beam: int, emissions: Sequence[Emission], scratch: Path
    ) -> None:
        kept, listed = scratch / "emissions.npz", scratch / "words.txt"
        np.savez(kept, frames=[len(e) for e in emissions], log_probs=np.concatenate(list(emissions)))
        listed.write_text("\n".join(open_lm(lm).words()), encoding="utf-8")
        labels = ["" if token == "<blank>" else token for token in recognizer.tokenizer.tokens]
        told = [str(kept), labels, str(lm.resolve()), str(listed), beam]
        self._process = subprocess.Popen(
            [peer_python(), "-c", PEER_PROGRAM, json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def decode(self, which: slice, weights: Weights) -> tuple[list[float], list[str]]:
        """Seconds and text of each emission; its weights mean what ours do."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([which.start, which.stop, *weights]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise StenoError("pyctcdecode ended")
        times, texts = json.loads(line)
        return times, texts

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def pairs(references: Sequence[str], hypotheses: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """What :func:`score` takes."""
    for number, (reference, hypothesis) in enumerate(zip(references, hypotheses, strict=True)):
        yield str(number), reference, hypothesis


def wer(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Word error rate."""
    return score(pairs(references, hypotheses)).wer


def differ(references: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> float:
    """The p-value of the matched-pairs test: small where one of the two is better."""
    return matched_pairs(*([text.split() for text in texts] for texts in (references, firsts, seconds))).p


def timed(parts: Sequence[Emission], decode: Callable[[Emission], str]) -> tuple[list[float], list[str]]:
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
