"""The whole check: what it found, in numbers that a table or a program can show."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from steno.data.check.comparisons import find_duplicate_audio, find_other_bandwidth, find_outliers, find_shared
from steno.data.check.problems import Kind, Problem, Severity
from steno.data.check.scan import Progress, Scan, scan
from steno.data.check.settings import Settings
from steno.errors import ManifestError
from steno.storage import absolute, shown


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between edges; there is one edge more than there are counts."""

    unit: str
    median: float
    edges: list[float]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Report:
    """What the check of a manifest found; problems are in the order of its lines."""

    scan: Scan
    others: list[Scan]
    settings: Settings
    problems: list[Problem]

    @property
    def errors(self) -> int:
        """Number of problems that break or poison training."""
        return sum(problem.severity is Severity.ERROR for problem in self.problems)

    @property
    def counts(self) -> dict[tuple[Kind, Severity], int]:
        """How many problems there are of each kind, in the order of the kinds."""
        counter = Counter((problem.kind, problem.severity) for problem in self.problems)
        return {
            (kind, severity): counter[kind, severity]
            for kind in Kind
            for severity in Severity
            if counter[kind, severity]
        }

    def summary(self) -> dict[str, Any]:
        """Totals of the manifest; hours are those that can be decoded."""
        seconds = self.scan.seconds
        return {
            "utterances": len(self.scan),
            "hours": float(np.nansum(seconds)) / 3600,
            "speakers": len(self.scan.speakers),
            "words": self.scan.words,
            "errors": self.errors,
            "warnings": len(self.problems) - self.errors,
        }

    def histograms(self) -> dict[str, Histogram]:
        """Distributions over the utterances that can be decoded; one without values is left out."""
        every = {
            "duration": histogram(self.scan.seconds, "s"),
            "speaking rate": histogram(self.scan.rates, "characters/s"),
            "level": histogram(self.scan.levels, "dBFS"),
            "signal to noise": histogram(self.scan.snrs, "dB"),
            "bandwidth": histogram(self.scan.bandwidths, "Hz"),
        }
        return {name: shown for name, shown in every.items() if shown is not None}

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return {
            "manifest": shown(self.scan.path),
            "settings": asdict(self.settings),
            "summary": self.summary(),
            "counts": [
                {"kind": kind.value, "severity": severity.value, "count": count}
                for (kind, severity), count in self.counts.items()
            ],
            "histograms": {name: asdict(shown) for name, shown in self.histograms().items()},
            "against": [
                {"manifest": shown(other.path), "utterances": len(other), "unreadable": unreadable(other)}
                for other in self.others
            ],
            "problems": [
                {
                    "kind": problem.kind.value,
                    "severity": problem.severity.value,
                    "id": problem.id,
                    "manifest": shown(self.scan.path),
                    "line": problem.line,
                    "message": problem.message,
                    "correctable": problem.correctable,
                }
                for problem in self.problems
            ],
        }


def check(
    manifest: Path,
    against: Sequence[Path] = (),
    settings: Settings = Settings(),
    workers: int = 0,
    progress: Progress = lambda path, done, total: None,
) -> Report:
    """Check a manifest, and compare it with others.

    Args:
        manifest: a JSONL manifest; broken lines are reported as problems.
        against: other manifests, whose recordings are decoded too; only what they share is reported.
        settings: the limits.
        workers: processes that decode; with 0 this one does it.
        progress: called with a manifest, its lines done and its lines in all.

    Raises:
        ManifestError: a manifest cannot be read, has no utterance, or is compared with itself.
    """
    for path in against:
        if absolute(path) == absolute(manifest):
            raise ManifestError(f"{path}: would be compared with itself", "Give another one to --against.")
    found = scan(manifest, settings, workers, progress)
    others = [scan(path, settings, workers, progress) for path in against]
    for row, finding in find_duplicate_audio(found):
        found.report(row, finding)
    for row, finding in find_outliers(found, settings):
        found.report(row, finding)
    for other in others:
        for row, finding in [*find_shared(found, other), *find_other_bandwidth(found, other)]:
            found.report(row, finding)
    order = {kind: position for position, kind in enumerate(Kind)}
    problems = sorted(found.problems, key=lambda problem: (problem.line, order[problem.kind]))
    return Report(found, others, settings, problems)


def unreadable(other: Scan) -> int:
    """How many lines of a manifest could not be compared, for they have no sound."""
    broken = sum(problem.kind is Kind.BROKEN_LINE for problem in other.problems)
    return broken + int(np.count_nonzero(np.isnan(other.seconds)))


def histogram(values: npt.NDArray[np.floating[Any]], unit: str, bins: int = 12) -> Histogram | None:
    """At most so many bins of a round width over the (N,) values that are numbers; None if there are none."""
    known = values[np.isfinite(values)].astype(np.float64)
    if not len(known):
        return None
    low, high = float(known.min()), float(known.max())
    width = _round_up(max((high - low) / (bins - 1), 1e-3))
    first, last = np.floor(low / width), np.floor(high / width) + 1
    edges = np.arange(first, last + 1) * width
    counts, _ = np.histogram(known, edges)
    return Histogram(unit, float(np.median(known)), [float(edge) for edge in edges], counts.tolist())


def _round_up(width: float) -> float:
    """The next of 1, 2, 5, 10, … times a power of ten."""
    power = 10.0 ** np.floor(np.log10(width))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= width * (1 - 1e-9)))
