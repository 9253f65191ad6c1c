"""One pass over a manifest: each utterance checked by itself, and the numbers that later checks compare."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from steno.data.check.audio_checks import Levels, check_audio, digest
from steno.data.check.problems import Finding, Kind, Problem, Severity
from steno.data.check.settings import Settings
from steno.data.check.text_checks import check_fit, check_text
from steno.data.check.workers import map_in_order
from steno.data.manifest import Utterance, count_rows, read_rows
from steno.errors import ManifestError, StenoError
from steno.text import normalize, words

Progress = Callable[[Path, int, int], None]
"""Called with the manifest, the lines done and the lines in all."""

_NOT_SPEECH = frozenset({Kind.SILENT_AUDIO, Kind.CONSTANT_AUDIO})


class Examined(NamedTuple):
    """What a worker tells of one utterance."""

    findings: list[Finding]
    levels: Levels | None
    words: int
    characters: int
    sentence: int


@dataclass(slots=True)
class Speaker:
    """A speaker's share of a manifest; ``first`` is the row of the first utterance."""

    first: int
    utterances: int = 0


class Scan:
    """Numbers of a manifest, about 150 bytes an utterance; rows count its valid lines from 0."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.ids: list[str] = []
        self.rows_by_id: dict[str, int] = {}
        self.speakers: dict[str, Speaker] = {}
        self.words = 0
        self._columns = _Columns()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """Decoded length; NaN where there is none."""
        return _numbers(self._columns.seconds, np.float64)

    @property
    def usual_seconds(self) -> npt.NDArray[np.float64]:
        """As ``seconds``, without what is not speech, or beyond the limits of the length."""
        return _numbers(self._columns.usual_seconds, np.float64)

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """Characters a second; NaN where there is no speech or no text, or more text than fits."""
        return _numbers(self._columns.rate, np.float64)

    @property
    def levels(self) -> npt.NDArray[np.float32]:
        """Level in dBFS; NaN where there is none."""
        return _numbers(self._columns.level, np.float32)

    @property
    def snrs(self) -> npt.NDArray[np.float32]:
        """Speech over background in dB; NaN where there is none."""
        return _numbers(self._columns.snr, np.float32)

    @property
    def audio_digests(self) -> npt.NDArray[np.uint64]:
        """Hash of the samples; 0 where there is no sound."""
        return _numbers(self._columns.audio, np.uint64)

    @property
    def bandwidths(self) -> npt.NDArray[np.float32]:
        """The highest frequency that is there, in Hz; NaN where there is no speech."""
        return _numbers(self._columns.bandwidth, np.float32)

    @property
    def sentence_digests(self) -> npt.NDArray[np.uint64]:
        """Hash of the normalised text; 0 where there is none."""
        return _numbers(self._columns.sentence, np.uint64)

    def at(self, row: int) -> str:
        """The id of a row and where to find it."""
        return f"{self.ids[row]} ({self.path}:{self._columns.line[row]})"

    def report(self, row: int, finding: Finding) -> None:
        """Note a problem of an utterance."""
        line = self._columns.line[row]
        self.problems.append(Problem(finding.kind, finding.severity, line, self.ids[row], finding.message))

    def add(self, line: int, utterance: Utterance, examined: Examined) -> None:
        """Note an utterance and what a worker told of it."""
        row = len(self)
        self.ids.append(utterance.id)
        self._columns.append(line, examined)
        self.words += examined.words
        if utterance.speaker is not None:
            self.speakers.setdefault(utterance.speaker, Speaker(row)).utterances += 1
        if (first := self.rows_by_id.setdefault(utterance.id, row)) != row:
            self.report(row, Finding(Kind.DUPLICATE_ID, f"line {self._columns.line[first]} has the same id"))
        for finding in examined.findings:
            self.report(row, finding)


def scan(path: Path, settings: Settings, workers: int, progress: Progress) -> Scan:
    """Check each utterance of a manifest by itself.

    Raises:
        ManifestError: the file cannot be read, or none of its lines is an utterance.
    """
    result = Scan(path)
    total = _line_count(path)
    waiting: dict[int, Utterance] = {}

    def tasks() -> Iterator[tuple[Path, float, str | None]]:
        for line, row in read_rows(path):
            if isinstance(row, ManifestError):
                message = row.message.removeprefix(f"{path}:{line}: ")
                result.problems.append(Problem(Kind.BROKEN_LINE, Severity.ERROR, line, None, message))
            else:
                waiting[line] = row
                yield row.audio, row.duration, row.text

    examine_one, crashed = partial(examine, settings=settings), partial(_crashed, settings=settings)
    for examined in map_in_order(examine_one, tasks(), workers, crashed):
        line = next(iter(waiting))
        result.add(line, waiting.pop(line), examined)
        progress(path, line, total)
    if not len(result):
        reason = "the manifest has no utterances"
        if result.problems:
            first = result.problems[0]
            reason = f"none of its lines is an utterance; line {first.line}: {first.message}"
        raise ManifestError(f"{path}: {reason}", "Make one with: steno data prepare SOURCE --out manifest.jsonl")
    progress(path, total, total)
    return result


def examine(task: tuple[Path, float, str | None], settings: Settings) -> Examined:
    """Check one utterance, given as recording, stated seconds and transcript; this is what a worker does."""
    path, stated, text = task
    levels, findings = check_audio(path, settings)
    if levels is not None:
        if not settings.pieces:
            findings += check_fit(text, levels.duration, settings)
        if abs(stated - levels.duration) > settings.duration_tolerance(levels.duration):
            message = f"the manifest says {stated:.2f} s, the recording has {levels.duration:.2f} s"
            findings.append(Finding(Kind.WRONG_DURATION, message))
    return _with_text(findings, levels, text, settings)


def _crashed(task: tuple[Path, float, str | None], settings: Settings) -> Examined:
    path, _, text = task
    finding = Finding(Kind.UNREADABLE_AUDIO, f"{path}: ended the process that decoded it")
    return _with_text([finding], None, text, settings)


def _with_text(findings: list[Finding], levels: Levels | None, text: str | None, settings: Settings) -> Examined:
    sentence = normalize(text or "", settings.alphabet)
    return Examined(
        findings=[*findings, *check_text(text, settings)],
        levels=levels,
        words=len(words(sentence)),
        characters=len(sentence),
        sentence=digest(sentence.encode()) if sentence else 0,
    )


class _Columns:
    def __init__(self) -> None:
        self.line = array("q")
        self.seconds = array("d")
        self.usual_seconds = array("d")
        self.rate = array("d")
        self.level = array("f")
        self.snr = array("f")
        self.bandwidth = array("f")
        self.audio = array("Q")
        self.sentence = array("Q")

    def append(self, line: int, examined: Examined) -> None:
        kinds = {finding.kind for finding in examined.findings}
        levels, nan = examined.levels, float("nan")
        speech = levels is not None and not kinds & _NOT_SPEECH
        usual = speech and not kinds & {Kind.TOO_SHORT, Kind.TOO_LONG}
        spoken = speech and examined.characters and Kind.TOO_FEW_FRAMES not in kinds
        seconds = levels.duration if levels else nan
        self.line.append(line)
        self.seconds.append(seconds)
        self.usual_seconds.append(seconds if usual else nan)
        self.rate.append(examined.characters / seconds if spoken else nan)
        self.level.append(levels.level if levels else nan)
        self.snr.append(levels.snr if levels else nan)
        self.bandwidth.append(levels.bandwidth if levels and speech else nan)
        self.audio.append(levels.digest if levels and speech else 0)
        self.sentence.append(examined.sentence)


def _numbers(column: "array[Any]", kind: type[np.generic]) -> npt.NDArray[Any]:
    return np.array(column, dtype=kind)


def _line_count(path: Path) -> int:
    try:
        return count_rows(path)
    except StenoError:
        return 0  # read_rows says what is wrong
