"""Exports that stay model folders: what runs, without the weights in torch's form."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from steno import audio
from steno.data.manifest import Manifest
from steno.errors import StenoError
from steno.evaluation.measure import Evaluation, evaluate
from steno.evaluation.score import Scores, score
from steno.export.forms import load
from steno.export.quantize import in_8_bits, quantized
from steno.runtime import Recognizer
from steno.runtime.folder import (
    CARD,
    CONFIG,
    ONNX,
    STREAM,
    FolderConfig,
    digest,
    read_config,
    verified,
    with_section,
    write_config,
)

TOKENS = "tokens.txt"


@contextmanager
def new_folder(target: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder to write to, and what makes it the target: so that it appears whole or not at all.

    Raises:
        StenoError: there is something at the target already.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StenoError(f"{target}: already exists and is not empty", "Name another folder with --to.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as scratch:
        folder = Path(scratch, "folder")
        folder.mkdir()
        yield folder, lambda: _move(folder, target)


def _move(folder: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    folder.replace(target)


def export_onnx(folder: Path, target: Path) -> FolderConfig:
    """The graphs, their configuration, the tokens and the card: all that is needed to run the model.

    Raises:
        ModelError: the folder is not whole.
        StenoError: the target is not empty.
    """
    config = read_config(folder)
    with new_folder(target) as (scratch, keep):
        copy_runnable(folder, config, scratch)
        config = _finish(scratch, config, {"format": "onnx"}, folder)
        keep()
    return config


@dataclass(frozen=True)
class Verdict:
    """What a model and its 8-bit form scored, and by how much less than ``margin`` the WER was to rise."""

    before: Evaluation
    after: Evaluation
    margin: float
    streaming: tuple[Scores, Scores] | None = None
    """The same of the graph that a stream is heard with, decoded greedily, where the model has one."""
    small_already: bool = False
    """Whether the model had 8-bit weights before."""

    @property
    def accepted(self) -> bool:
        """Whether the 8-bit form may stand for the model."""
        pairs = [(self.before.scores, self.after.scores), *([self.streaming] if self.streaming else [])]
        return all(after.wer - before.wer < self.margin for before, after in pairs)


def export_int8(folder: Path, target: Path, data: Manifest, margin: float) -> Verdict:
    """The same in 8 bits, if its WER is higher by less than ``margin`` on the data; else nothing is written.

    Raises:
        ModelError: the folder is not whole.
        StenoError: the target is not empty, or all weights of the model are too few for 8 bits.
        ManifestError: nothing of the data could be scored.
    """
    config = read_config(folder)
    with new_folder(target) as (scratch, keep):
        copy_runnable(folder, config, scratch)
        small_already = in_8_bits(onnx.load(scratch / ONNX))
        for name in (ONNX, STREAM):
            if (scratch / name).is_file():
                onnx.save(quantized(onnx.load(scratch / name)), scratch / name)
        if not in_8_bits(onnx.load(scratch / ONNX)):
            raise StenoError(
                f"{folder}: has no weights so many that 8 bits would make it smaller", "Export it with --format onnx."
            )
        write_config(scratch, config)
        before = evaluate(Recognizer(folder), data, model="given").checked()
        after = evaluate(Recognizer(scratch), data, model="int8").checked()
        streaming = None
        if (scratch / STREAM).is_file():
            streaming = _streamed(folder, before), _streamed(scratch, after)
        verdict = Verdict(before, after, margin, streaming, small_already)
        if not verdict.accepted:
            return verdict
        given = "before" if small_already else "float"
        evidence = {
            "data": str(data.path),
            "digest": data.digest,
            "utterances": len(after.measured),
            "wer": round(after.scores.wer, 5),
            f"wer_{given}": round(before.scores.wer, 5),
            "margin": margin,
        }
        if streaming:
            evidence |= {
                "streaming_wer": round(streaming[1].wer, 5),
                f"streaming_wer_{given}": round(streaming[0].wer, 5),
            }
        _finish(scratch, config, {"format": "onnx-int8", **evidence}, folder)
        keep()
    return verdict


def _streamed(folder: Path, whole: Evaluation) -> Scores:
    """What the folder's streaming graph makes of the recordings that were scored."""
    hear = load("streaming", folder, threads=1)
    rate = read_config(folder).features.sample_rate
    form = whole.normalization
    return score(
        (one.utterance.id, one.scored.reference, form.apply(hear(audio.load(one.utterance.audio, rate)).text))
        for one in whole.measured
    )


def copy_runnable(folder: Path, config: FolderConfig, target: Path) -> None:
    """Copy what the runtime loads, after its digests were checked, and write the tokens."""
    names = [ONNX, *(name for name in (STREAM, *config.decoding.files) if name in config.files)]
    for name in names:
        shutil.copyfile(verified(folder, config, name), target / name)
    if (folder / CARD).is_file():
        shutil.copyfile(folder / CARD, target / CARD)
    tokens = config.tokenizer.build().tokens
    lines = "".join(f"{'▁' if token == ' ' else token} {label}\n" for label, token in enumerate(tokens))
    (target / TOKENS).write_text(lines, encoding="utf-8")


def _finish(scratch: Path, config: FolderConfig, made: dict[str, Any], source: Path) -> FolderConfig:
    """Provenance and card of the export: whose it is, and for which model the figures in the card hold."""
    made = {**made, "of": digest(source / CONFIG)}
    config = config.model_copy(update={"provenance": {**config.provenance, "export": made}})
    write_config(scratch, config)
    add_to_card(scratch, config, "Export", _section(made))
    return config


def add_to_card(folder: Path, config: FolderConfig, title: str, text: str) -> None:
    """Add a section to the model card, in place of one with the same title."""
    card = folder / CARD
    told = card.read_text(encoding="utf-8") if card.is_file() else f"# {config.name}\n"
    card.write_text(with_section(told, title, text), encoding="utf-8")


def _section(made: dict[str, Any]) -> str:
    if made["format"] == "onnx":
        return "The graph of the trained model, without its weights in torch's form."
    given = "before" if "wer_before" in made else "float"
    streamed = ""
    if "streaming_wer" in made:
        streamed = (
            f" Heard as a stream, greedily, it is {made['streaming_wer']:.2%}, and was "
            f"{made[f'streaming_wer_{given}']:.2%}."
        )
    already = ", which the model had already" if given == "before" else ""
    return (
        f"Weights in 8 bits{already}. The other figures in this card are those of the model before that. On\n"
        f"`{made['data']}` ({made['utterances']} utterances, digest {made['digest']}) the WER is {made['wer']:.2%}, "
        f"and was {made[f'wer_{given}']:.2%} before.{streamed}"
    )
