"""What listening costs: the WER of models that hear a stream, beside the WER of the same models on whole files.

python benchmarks/streaming_accuracy.py MODEL… --data dev.jsonl
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from steno.audio import Samples, load
from steno.cli.app import guarded
from steno.config import validate
from steno.data.manifest import Manifest, Utterance
from steno.errors import ManifestError, StenoError
from steno.evaluation.score import Scores, score
from steno.models.config import streaming
from steno.runtime import Recognizer
from steno.runtime.folder import STREAM
from steno.runtime.streaming import EndpointConfig, Final, StreamingSession, WindowConfig, advance
from steno.runtime.streaming.steps import step_frames
from steno.text import normalize, words

GROUP = 16
"""Streams that are heard at once."""


@dataclass(frozen=True)
class Heard:
    """A model's texts, and the seconds that they took."""

    scores: Scores
    seconds: float

    @property
    def texts(self) -> list[str]:
        """The hypotheses, in order."""
        return [utterance.hypothesis for utterance in self.scores.utterances]

    @property
    def wer(self) -> str:
        """The word error rate with its 95 % interval."""
        interval = self.scores.wer_interval()
        return f"{100 * self.scores.wer:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


@dataclass(frozen=True)
class Row:
    """One model: how it streams, on whole files, as one stream a file, and with endpoints."""

    name: str
    way: str
    waits: float
    whole: Heard
    stream: Heard
    endpointed: Heard


def streamed(
    recognizer: Recognizer,
    recordings: Sequence[Samples],
    endpointing: EndpointConfig | None,
    window: WindowConfig | None,
) -> Iterator[str]:
    """Texts of recordings that are heard as streams, their utterances joined."""
    sessions: list[StreamingSession] = []
    for samples in recordings:
        session = recognizer.stream(endpointing=endpointing, window=window)
        session.buffer(samples)
        session.end()
        sessions.append(session)
    texts: list[list[str]] = [[] for _ in sessions]
    while any(session.due for session in sessions):
        for told, events in zip(texts, advance(sessions), strict=True):
            told += [event.text for event in events if isinstance(event, Final)]
    return (" ".join(told) for told in texts)


def in_groups(utterances: Sequence[Utterance], rate_hz: int) -> Iterator[tuple[Sequence[Utterance], list[Samples]]]:
    """Utterances of like length with their samples, some at a time."""
    order = sorted(utterances, key=lambda utterance: utterance.duration)
    for start in range(0, len(order), GROUP):
        group = order[start : start + GROUP]
        yield group, [load(utterance.audio, rate_hz) for utterance in group]


def measure(recognizer: Recognizer, utterances: Sequence[Utterance], window: WindowConfig | None) -> list[Heard]:
    """Whole files, streams without endpoints, and streams with them."""
    alphabet = recognizer.config.tokenizer.alphabet
    triples: list[list[tuple[str, str, str]]] = [[], [], []]
    seconds = [0.0, 0.0, 0.0]
    for group, recordings in in_groups(utterances, recognizer.sample_rate):
        ways = (
            lambda r=recordings: [transcript.text for transcript in recognizer.transcribe(r)],
            lambda r=recordings: list(streamed(recognizer, r, None, window)),
            lambda r=recordings: list(streamed(recognizer, r, EndpointConfig(), window)),
        )
        for number, way in enumerate(ways):
            started = time.perf_counter()
            texts = way()
            seconds[number] += time.perf_counter() - started
            triples[number] += [
                (utterance.id, normalize(utterance.text or "", alphabet), text)
                for utterance, text in zip(group, texts, strict=True)
            ]
    return [Heard(score(found), spent) for found, spent in zip(triples, seconds, strict=True)]


def row(folder: Path, utterances: Sequence[Utterance], window: WindowConfig, threads: int) -> Row:
    """Measure one model folder."""
    recognizer = Recognizer(folder, threads=threads)
    config = recognizer.config
    model = streaming(config.model)
    if model is not None and STREAM in config.files:
        ahead = model.lookahead_seconds(config.features.seconds_per_frame)
        half_window = config.features.n_fft / 2 / config.features.sample_rate
        frames = model.delay(config.features.seconds_per_frame) + step_frames(config)
        waits, used = frames * config.seconds_per_frame + half_window, None
        way = f"steps, {1000 * ahead:.0f} ms ahead"
    else:
        way = f"windows {window.left:g} + {window.chunk:g} + {window.right:g} s"
        waits, used = window.chunk + window.right, window
    return Row(config.name, way, waits, *measure(recognizer, utterances, used))


def main(
    models: Annotated[list[Path], typer.Argument(help="Model folders, streaming or not.")],
    data: Annotated[Path, typer.Option(help="A manifest with text.")],
    limit: Annotated[int | None, typer.Option(help="Only so many utterances, evenly spread.", min=1)] = None,
    left: Annotated[float, typer.Option(help="Windows of offline models: seconds of left context.")] = 4.0,
    chunk: Annotated[float, typer.Option(help="Windows of offline models: seconds that are kept.")] = 1.0,
    right: Annotated[float, typer.Option(help="Windows of offline models: seconds of right context.")] = 1.0,
    threads: Annotated[int, typer.Option(help="Threads of an inference.", min=1)] = 1,
) -> None:
    """Measure models on whole files and as streams, on the same utterances."""
    from rich.console import Console
    from rich.table import Table

    window = validate(WindowConfig, {"left": left, "chunk": chunk, "right": right}, "the window", StenoError)
    utterances = [utterance for utterance in Manifest(data) if words(utterance.text or "")]
    if limit is not None and limit < len(utterances):
        utterances = [utterances[i * len(utterances) // limit] for i in range(limit)]
    if not utterances:
        raise ManifestError(f"{data}: no utterance has text")
    audio_seconds = sum(utterance.duration for utterance in utterances)
    title = f"{data.name}: {len(utterances)} utterances, {audio_seconds / 3600:.2f} h; {threads} thread(s)"
    table = Table("model", "streams by", "waits (s)", title=title)
    for column in ("WER file", "WER stream", "differ", "WER endpoints", "RTF file", "RTF stream"):
        table.add_column(column, justify="right")
    for folder in models:
        found = row(folder, utterances, window, threads)
        differ = sum(a != b for a, b in zip(found.whole.texts, found.stream.texts, strict=True))
        wers = [found.whole.wer, found.stream.wer, str(differ), found.endpointed.wer]
        factors = [f"{heard.seconds / audio_seconds:.3f}" for heard in (found.whole, found.stream)]
        table.add_row(found.name, found.way, f"{found.waits:.2f}", *wers, *factors)
    Console().print(table)
    print(
        "waits: seconds of audio after a frame until it is told, at most; differ: texts that are not the whole file's"
    )


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
