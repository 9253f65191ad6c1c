"""The same model and recordings through Steno and through sherpa-onnx's Python runtime: texts, and time, side by side.

    python benchmarks/sherpa.py MODEL --data dev.jsonl --utterances 50

The model is exported for sherpa-onnx first. Both decode greedily, one recording at a time, with as many threads. They
take turns recording by recording, and who goes first alternates. A model with a streaming graph is heard as a stream by
both: in blocks of `--block` seconds, with a second of silence at the end, which sherpa-onnx needs. Samples are what
it keeps of them: 16 bits, and in a stream a sample of 1 or -1 is 0.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import sherpa_onnx
import typer
from rich.console import Console
from rich.table import Table

from steno import audio
from steno.audio import Samples
from steno.cli.app import guarded
from steno.data.manifest import Manifest
from steno.errors import ManifestError
from steno.evaluation.score import score
from steno.export.sample import chosen
from steno.export.sherpa import export_sherpa
from steno.runtime import DecodingOptions, Recognizer
from steno.runtime.folder import STREAM
from steno.text import normalize, words

Hear = Callable[[Samples], str]
RATE = 16_000


def offline(model: Path, exported: Path, threads: int) -> dict[str, Hear]:
    """Whole recordings."""
    ours = Recognizer(model, threads=threads, decoding=DecodingOptions(method="greedy"))
    theirs = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(exported / "model.onnx"), tokens=str(exported / "tokens.txt"), num_threads=threads
    )

    def heard_by_sherpa(samples_n: Samples) -> str:
        stream = theirs.create_stream()
        stream.accept_waveform(RATE, samples_n)
        theirs.decode_stream(stream)
        return str(stream.result.text)

    return {"steno": lambda samples_n: ours.transcribe([samples_n])[0].text, "sherpa-onnx": heard_by_sherpa}


def online(model: Path, exported: Path, threads: int, block: float) -> dict[str, Hear]:
    """Streams; sherpa-onnx's entry takes 16 kHz for 8 kHz, so that it resamples nothing."""
    ours = Recognizer(model, threads=threads, decoding=DecodingOptions(method="greedy"))
    theirs = sherpa_onnx.OnlineRecognizer.from_t_one_ctc(
        model=str(exported / STREAM), tokens=str(exported / "tokens.txt"), num_threads=threads
    )
    silence_n = np.zeros(RATE, np.float32)

    def blocks(samples_n: Samples) -> list[Samples]:
        whole_n, size = np.concatenate([samples_n, silence_n]).astype(np.float32), int(block * RATE)
        return [whole_n[start : start + size] for start in range(0, len(whole_n), size)]

    def heard_by_steno(samples_n: Samples) -> str:
        session = ours.stream(endpointing=None)
        events = [event for piece_n in blocks(samples_n) for event in session.accept(piece_n)]
        events += session.finish()
        return events[-1].text if events else ""

    def heard_by_sherpa(samples_n: Samples) -> str:
        stream = theirs.create_stream()
        for piece_n in blocks(samples_n):
            stream.accept_waveform(RATE // 2, piece_n)
            while theirs.is_ready(stream):
                theirs.decode_stream(stream)
        return str(theirs.get_result(stream))

    return {"steno": heard_by_steno, "sherpa-onnx": heard_by_sherpa}


def main(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    data: Annotated[Path, typer.Option(help="A manifest with text.")],
    utterances: Annotated[int, typer.Option(min=1, help="How many, evenly spread over the manifest.")] = 50,
    threads: Annotated[int, typer.Option(min=1, help="Of each.")] = 1,
    block: Annotated[float, typer.Option(min=0.01, help="Seconds of a stream that come together.")] = 0.1,
) -> None:
    """Compare Steno's runtime with sherpa-onnx's."""
    sample = chosen(Manifest(data), utterances)
    if not sample:
        raise ManifestError(f"{data}: no utterance has text", "Words are counted against it.")
    recordings: list[Samples] = [
        np.round(audio.load(one.audio, RATE) * 32767).astype(np.float32) / np.float32(32768) for one in sample
    ]
    streams = (model / STREAM).is_file()
    if streams:
        recordings = [np.where(abs(heard_n) > 1.5 / 32768, heard_n, np.float32(0)) for heard_n in recordings]
    with tempfile.TemporaryDirectory(prefix="steno-sherpa-") as scratch:
        exported = Path(scratch, "export")
        export_sherpa(model, exported)
        both = online(model, exported, threads, block) if streams else offline(model, exported, threads)
        texts: dict[str, list[str]] = {name: [] for name in both}
        seconds = dict.fromkeys(both, 0.0)
        for number, samples_n in enumerate([recordings[0], *recordings]):
            for name in sorted(both, reverse=bool(number % 2)):
                started = time.perf_counter()
                text = both[name](samples_n)
                if number:  # the first is heard once more, because a first run is slower
                    seconds[name] += time.perf_counter() - started
                    texts[name].append(" ".join(text.split()))
    spoken = sum(len(samples_n) for samples_n in recordings) / RATE
    same = sum(ours == theirs for ours, theirs in zip(texts["steno"], texts["sherpa-onnx"], strict=True))
    table = Table("runtime", "real-time factor", "WER")
    for name in both:
        rows = zip(sample, texts[name], strict=True)
        scores = score((one.id, " ".join(words(normalize(one.text or ""))), text) for one, text in rows)
        table.add_row(name, f"{seconds[name] / spoken:.4f}", f"{scores.wer:.2%}")
    Console(width=100).print(table)
    print(
        f"{'streams' if streams else 'recordings'}: {same} of {len(sample)} texts are the same; sherpa-onnx takes "
        f"{seconds['sherpa-onnx'] / seconds['steno']:.2f} times Steno's time; {spoken:.0f} s of audio, "
        f"{threads} thread(s)"
    )


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
