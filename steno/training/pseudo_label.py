"""Transcripts of untranscribed recordings by a trained model, to train the next one on.

Source: Kahn et al., "Self-Training for End-to-End Speech Recognition", ICASSP 2020.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import steno
from steno.data.manifest import Utterance
from steno.runtime import Recognizer
from steno.runtime.files import LONGEST_SECONDS, FileResult, transcribe_files
from steno.runtime.folder import ONNX
from steno.storage import absolute


@dataclass
class Labelled:
    """Utterances with their pseudo-labels, and the recordings that were left out with the reason of each."""

    utterances: list[Utterance] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def hours(self) -> float:
        """Hours of audio that were labelled."""
        return sum(utterance.duration for utterance in self.utterances) / 3600


def pseudo_label(
    recognizer: Recognizer,
    files: Sequence[Path],
    min_confidence: float = 0.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Labelled:
    """Transcribe recordings, and keep those whose words have a mean confidence of at least ``min_confidence``.

    Left out are also recordings that cannot be read, in which no word is heard, or that are too long to train on.
    Every utterance carries its ``confidence`` and ``labelled_by``: the model's name and the start of its digest.
    """
    label = f"{recognizer.config.name} {recognizer.config.files[ONNX][:12]}"
    names = _ids(files)
    found = Labelled()
    for done, (path, result) in enumerate(zip(files, transcribe_files(recognizer, files), strict=True), start=1):
        reason = _objection(result, min_confidence)
        if reason:
            found.left_out.append((path, reason))
        elif result.transcript is not None:
            confidence = _rounded(result.transcript.confidence)
            extra = {"confidence": confidence, "labelled_by": label}
            text = result.transcript.text
            found.utterances.append(Utterance(names[path], absolute(path), result.seconds, text, extra=extra))
        progress(done, len(files))
    return found


def provenance(recognizer: Recognizer, model: str, found: Labelled, min_confidence: float) -> dict[str, Any]:
    """Where the labels come from, as plain values to be written beside the manifest."""
    return {
        "steno": steno.__version__,
        "model": {"reference": model, "name": recognizer.config.name, "files": dict(recognizer.config.files)},
        "trained_on": recognizer.config.provenance.get("train") or recognizer.config.provenance.get("mean_of", {}),
        "measured": recognizer.config.provenance.get("measured", {}),
        "decoding": recognizer.decoding.model_dump(mode="json"),
        "min_confidence": min_confidence,
        "utterances": len(found.utterances),
        "hours": round(found.hours, 3),
        "left_out": dict(Counter(_kind(reason) for _, reason in found.left_out)),
    }


_UNSURE, _SILENT, _LONG = "is less than", "no word is heard", "lasts longer than"


def _rounded(confidence: float | None) -> float | None:
    """As the manifest has it, so that what is read there can be given as the least one."""
    return None if confidence is None else round(confidence, 4)


def _objection(result: FileResult, min_confidence: float) -> str:
    if result.transcript is None:
        return str(result.error.message if result.error else "it could not be transcribed")
    if result.seconds > LONGEST_SECONDS:
        return f"{_LONG} {LONGEST_SECONDS:g} s: {result.seconds:.1f} s; cut it first"
    confidence = _rounded(result.transcript.confidence)
    if confidence is None or not result.transcript.text:
        return _SILENT
    if confidence < min_confidence:
        return f"its confidence {confidence:.4g} {_UNSURE} {min_confidence:g}"
    return ""


def _kind(reason: str) -> str:
    kinds = {_UNSURE: "not confident", _SILENT: "nothing heard", _LONG: "too long"}
    return next((kind for part, kind in kinds.items() if part in reason), "not readable")


def _ids(files: Iterable[Path]) -> dict[Path, str]:
    """A name for each file: its stem, and where several have one, with their folders before it."""
    counts = Counter(path.stem for path in files)
    return {path: path.stem if counts[path.stem] == 1 else "-".join(path.with_suffix("").parts[-3:]) for path in files}
