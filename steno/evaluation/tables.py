"""Error rates by what the utterances are like: speaker, duration, speaking rate, signal-to-noise ratio."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from steno import audio
from steno.errors import AudioError
from steno.evaluation.bootstrap import Interval, bootstrap_interval
from steno.evaluation.measure import Measured
from steno.evaluation.wer import ErrorCounts, total
from steno.levels import signal_to_noise

LEAST = 10
"""Fewer utterances than this get no interval: their own would claim too much."""

_DURATIONS = (2.0, 5.0, 10.0, 15.0, 20.0, 30.0)
_RATES = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
_RATIOS = (10.0, 20.0, 30.0, 40.0, 50.0)


@dataclass(frozen=True)
class Row:
    """The word errors of some utterances; no ``interval`` where they are too few."""

    label: str
    utterances: int
    words: ErrorCounts
    interval: Interval | None


@dataclass(frozen=True)
class Table:
    """Rows of one kind; ``note`` says what the kind means."""

    name: str
    title: str
    note: str
    rows: tuple[Row, ...]


def breakdowns(measured: Sequence[Measured], ratios: Sequence[float | None]) -> list[Table]:
    """The tables that the utterances allow; ``ratios`` are their signal-to-noise ratios in dB, if known."""
    seconds = [one.utterance.duration for one in measured]
    rates = [
        one.scored.words.reference / length if length else None for one, length in zip(measured, seconds, strict=True)
    ]
    tables = [
        Table("speaker", "By speaker", "highest WER first", tuple(_by_speaker(measured))),
        Table("duration", "By duration", "seconds of audio", tuple(_by_value(measured, seconds, _DURATIONS, "s"))),
        Table(
            "rate",
            "By speaking rate",
            "words of the reference by second of audio, pauses included",
            tuple(_by_value(measured, rates, _RATES, "words/s")),
        ),
        Table(
            "snr",
            "By signal-to-noise ratio",
            "95th over 10th percentile of the levels of 25 ms frames",
            tuple(_by_value(measured, ratios, _RATIOS, "dB")),
        ),
    ]
    return [table for table in tables if table.rows]


def signal_to_noise_ratios(measured: Iterable[Measured]) -> list[float | None]:
    """The ratio of each recording in dB; None for one that cannot be read."""
    return [_ratio(one) for one in measured]


def _ratio(one: Measured) -> float | None:
    try:
        return signal_to_noise(audio.load(one.utterance.audio), audio.SAMPLE_RATE)
    except AudioError:
        return None


def _by_speaker(measured: Sequence[Measured]) -> list[Row]:
    known = [one for one in measured if one.utterance.speaker is not None]
    rows = _grouped(known, lambda one: str(one.utterance.speaker))
    return sorted(rows, key=lambda row: (-row.words.rate, row.label))


def _by_value(
    measured: Sequence[Measured], values: Sequence[float | None], edges: Sequence[float], unit: str
) -> list[Row]:
    """One row a bin between edges, lowest first."""
    labels = [
        f"below {edges[0]:g} {unit}",
        *(f"{low:g} to {high:g} {unit}" for low, high in pairwise(edges)),
        f"{edges[-1]:g} {unit} and above",
    ]
    bins = {
        id(one): labels[sum(value >= edge for edge in edges)]
        for one, value in zip(measured, values, strict=True)
        if value is not None
    }
    rows = _grouped([one for one in measured if id(one) in bins], lambda one: bins[id(one)])
    return sorted(rows, key=lambda row: labels.index(row.label))


def _grouped(measured: Iterable[Measured], label: Callable[[Measured], str]) -> list[Row]:
    groups: dict[str, list[ErrorCounts]] = {}
    for one in measured:
        groups.setdefault(label(one), []).append(one.scored.words)
    return [
        Row(name, len(counts), total(counts), bootstrap_interval(counts) if len(counts) >= LEAST else None)
        for name, counts in groups.items()
    ]
