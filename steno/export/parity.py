"""The parity report: every form of a model on the same recordings, and whether they are the same recogniser."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steno.data.manifest import Manifest, Utterance
from steno.errors import ManifestError, ModelError
from steno.evaluation.bootstrap import Interval
from steno.evaluation.measure import Evaluation, LeftOut, Measured
from steno.evaluation.normalization import Normalization
from steno.evaluation.score import score
from steno.export.forms import Form, file_of
from steno.export.sample import chosen
from steno.runtime.folder import STREAM, WEIGHTS, FolderConfig, read_config

LARGEST_DIFFERENCE = 1e-3
"""Of a log-probability, between forms with the same weights."""


@dataclass(frozen=True)
class Case:
    """A form of a folder, and what the report calls it."""

    name: str
    form: Form
    folder: Path
    exact: bool


@dataclass(frozen=True)
class Row:
    """What one form did.

    ``difference`` is the largest one of a log-probability from the first row's, ``identical`` counts utterances
    with its text; ``cpu`` is CPU seconds a second of audio; ``size`` and ``peak`` are bytes.
    """

    name: str
    exact: bool
    utterances: int
    difference: float | None
    identical: int
    wer: float
    wer_interval: Interval
    size: int
    load_seconds: float
    real_time_factor: float
    cpu: float
    peak: int


@dataclass(frozen=True)
class Parity:
    """All rows; the first one is what the others are held against."""

    rows: tuple[Row, ...]
    reference: Evaluation
    threads: int

    @property
    def holds(self) -> bool:
        """Whether every form with the same weights gives the same texts and log-probabilities."""
        return all(
            row.identical == row.utterances and (row.difference or 0.0) < LARGEST_DIFFERENCE
            for row in self.rows
            if row.exact
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "model": self.reference.model,
            "data": str(self.reference.data),
            "digest": self.reference.digest,
            "threads": self.threads,
            "holds": self.holds,
            "rows": [asdict(row) for row in self.rows],
            "left_out": [asdict(entry) for entry in self.reference.left_out],
        }

    def metrics(self) -> dict[str, float]:
        """Figures for MLflow, ``parity_FORM_FIGURE``."""
        found: dict[str, float] = {}
        for row in self.rows:
            key = "parity_" + row.name.replace(" ", "_")
            values = {
                "identical": row.identical / row.utterances,
                "wer": row.wer,
                "size_mb": row.size / 1e6,
                "load_s": row.load_seconds,
                "rtf": row.real_time_factor,
                "peak_mb": row.peak / 1e6,
            }
            if row.difference is not None:
                values["difference"] = row.difference
            found |= {f"{key}_{name}": float(value) for name, value in values.items()}
        return found

    def section(self) -> str:
        """The report as a section of a model card."""
        first, data = self.rows[0], self.reference
        lines = [
            f"Every form of the model on the same {first.utterances} utterances of `{data.data}` (digest",
            f"{data.digest}), greedy decoding, each in a process of its own with {self.threads} thread(s). Differences",
            f"and identical texts are against {first.name}.",
            "",
            "| " + " | ".join(COLUMNS) + " |",
            "|---" * len(COLUMNS) + "|",
            *("| " + " | ".join(cells(row)) + " |" for row in self.rows),
        ]
        return "\n".join(lines)


COLUMNS = (
    *("form", "largest difference", "identical texts", "WER (95 % interval)", "size (MB)"),
    *("load (s)", "real-time factor", "CPU s / s", "peak memory (MB)"),
)


def cells(row: Row) -> list[str]:
    """A row of the table, as text."""
    return [
        row.name,
        "–" if row.difference is None else f"{row.difference:.2g}",
        f"{row.identical} of {row.utterances}",
        f"{100 * row.wer:.2f} % ({100 * row.wer_interval.low:.1f} to {100 * row.wer_interval.high:.1f})",
        f"{row.size / 1e6:.2f}",
        f"{row.load_seconds:.2f}",
        f"{row.real_time_factor:.4f}",
        f"{row.cpu:.4f}",
        f"{row.peak / 1e6:.0f}",
    ]


def cases(folder: Path, exports: Sequence[Path], pyfunc: bool) -> list[Case]:
    """The forms that there are: those of the model, then those of its exports.

    Raises:
        ModelError: one of them is no model folder, or spells other texts.
    """
    config = read_config(folder)
    found = [Case("torch", "torch", folder, True)] if WEIGHTS in config.files else []
    found += _graphs(folder, config, "", True)
    if pyfunc:
        found.append(Case("pyfunc", "pyfunc", folder, True))
    for export in exports:
        other = read_config(export)
        if other.tokenizer != config.tokenizer:
            raise ModelError(f"{export}: has other tokens than {folder}", "Compare exports of the same model.")
        kind = str(other.provenance.get("export", {}).get("format", "onnx")).removeprefix("onnx-")
        found += _graphs(export, other, f"{kind} ", kind != "int8")
    return found


def _graphs(folder: Path, config: FolderConfig, prefix: str, exact: bool) -> list[Case]:
    names: list[tuple[str, Form]] = [(prefix.strip() or "onnx", "onnx")]
    if STREAM in config.files:
        names.append((f"{prefix}streaming", "streaming"))
    return [Case(name, form, folder, exact) for name, form in names]


def parity(
    folder: Path,
    exports: Sequence[Path],
    data: Manifest,
    *,
    model: str = "",
    utterances: int = 200,
    threads: int = 1,
    pyfunc: bool = True,
    watch: Callable[[str], None] = lambda name: None,
) -> Parity:
    """Measure every form of a model.

    Args:
        folder: the model folder.
        exports: folders that were exported from it.
        data: a manifest with text.
        model: what to call the model.
        utterances: how many of the manifest.
        threads: of each form, but for the pyfunc, which takes what it takes when it serves.
        pyfunc: whether MLflow's form is measured, too.
        watch: told each form's name before it is measured.

    Raises:
        ModelError: a form cannot be loaded.
        ManifestError: nothing could be scored.
    """
    sample = chosen(data, utterances)
    form = Normalization("steno", read_config(folder).tokenizer.alphabet)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="steno-parity-") as scratch:
        outs: list[Path] = []
        first: Evaluation | None = None
        for case in cases(folder, exports, pyfunc):
            watch(case.name)
            out = Path(scratch, str(len(outs)))
            found = _measured(case, threads, data, utterances, out)
            outs.append(out)
            evaluation = _scored(model, data, sample, found, form)
            first = first or evaluation
            rows.append(_row(case, found, evaluation, first, outs[0], out))
    assert first is not None
    return Parity(tuple(rows), first, threads)


def _measured(case: Case, threads: int, data: Manifest, count: int, out: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "steno.export.worker", case.form, str(case.folder), str(threads)]
    done = subprocess.run([*command, str(data.path), str(count), str(out)], capture_output=True, text=True)
    if done.returncode:
        raise ModelError(f"{case.folder}: {case.name} failed", done.stderr.strip()[-2000:])
    found: dict[str, Any] = json.loads((out / "found.json").read_text(encoding="utf-8"))
    return found


def _scored(
    model: str, data: Manifest, sample: Sequence[Utterance], found: dict[str, Any], form: Normalization
) -> Evaluation:
    heard = [utterance for utterance in sample if utterance.id in found["texts"]]
    triples = [(one.id, form.apply(one.text or ""), form.apply(found["texts"][one.id])) for one in heard]
    scores = score(triples)
    measured = tuple(
        Measured(utterance, scored)
        for utterance, scored in zip(heard, scores.utterances, strict=True)
        if scored.words.reference
    )
    left_out = tuple(LeftOut(identity, reason) for identity, reason in found["left_out"].items())
    if not measured:
        raise ManifestError(f"{data.path}: no utterance could be scored", "It needs recordings with text.")
    wall, seconds = found["wall_seconds"], found["audio_seconds"]
    return Evaluation(model, data.path, data.digest, form, measured, left_out, wall, seconds)


def _row(case: Case, found: dict[str, Any], own: Evaluation, first: Evaluation, reference: Path, out: Path) -> Row:
    expected = {one.scored.id: one.scored.hypothesis for one in first.measured}
    return Row(
        name=case.name,
        exact=case.exact,
        utterances=len(own.measured),
        difference=_difference(reference, out),
        identical=sum(expected.get(one.scored.id) == one.scored.hypothesis for one in own.measured),
        wer=own.scores.wer,
        wer_interval=own.scores.wer_interval(),
        size=(case.folder / file_of(case.form)).stat().st_size,
        load_seconds=found["load_seconds"],
        real_time_factor=own.real_time_factor,
        cpu=found["cpu_seconds"] / own.audio_seconds,
        peak=found["peak_bytes"],
    )


def _difference(reference: Path, out: Path) -> float | None:
    """The largest difference of a log-probability; infinite where the frames are not as many."""
    names = sorted(path.name for path in out.glob("*.npy"))
    if not names:
        return None
    worst = 0.0
    for name in names:
        expected, found = np.load(reference / name), np.load(out / name)
        if expected.shape != found.shape:
            return float("inf")
        worst = max(worst, float(np.abs(expected - found).max(initial=0.0)))
    return worst
