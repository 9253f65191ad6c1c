"""Checks that compare utterances: duplicates, outliers, and what another manifest shares with this one."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from steno.data.check.problems import Finding, Kind, Severity
from steno.data.check.scan import Scan
from steno.data.check.settings import Settings

_ALIKE = 0.9
"""Bandwidths that differ by less are alike."""
_SIGMA = 1.4826  # standard deviations of a normal distribution in its median absolute deviation


def find_duplicate_audio(scan: Scan) -> Iterator[tuple[int, Finding]]:
    """Rows whose samples an earlier row has as well."""
    sentences = scan.sentence_digests
    for row, first in repeats(scan.audio_digests):
        text = "the same text" if sentences[row] == sentences[first] else "another text"
        yield row, Finding(Kind.DUPLICATE_AUDIO, f"the same samples as {scan.at(first)}, with {text}")


def find_outliers(scan: Scan, settings: Settings) -> Iterator[tuple[int, Finding]]:
    """Rows far from the median in length or in characters a second."""
    for kind, values, least, unit in (
        (Kind.LENGTH_OUTLIER, scan.usual_seconds, (settings.short_factor, settings.long_factor), "s"),
        (Kind.RATE_OUTLIER, scan.rates, (settings.rate_factor, settings.rate_factor), "characters/s"),
    ):
        known = np.flatnonzero(np.isfinite(values))
        if len(known) < settings.outlier_utterances:
            continue
        median = float(np.median(values[known]))
        for index in outliers(np.log(values[known]), settings.outlier_sigmas, *map(math.log, least)):
            row = int(known[index])
            message = f"{values[row]:.2f} {unit}, the median is {median:.2f}"
            yield row, Finding(kind, message, Severity.WARNING)


def find_shared(scan: Scan, other: Scan) -> Iterator[tuple[int, Finding]]:
    """What this manifest shares with another one: recordings, speakers (once each) and sentences."""
    for row, match in matches(scan.audio_digests, other.audio_digests):
        yield row, Finding(Kind.SHARED_AUDIO, f"the same samples as {other.at(match)}")
    for row, match in matches(scan.sentence_digests, other.sentence_digests):
        message = f"the same sentence as {other.at(match)}"
        yield row, Finding(Kind.SHARED_SENTENCE, message, Severity.WARNING)
    for name, speaker in scan.speakers.items():
        if name in other.speakers:
            theirs = other.speakers[name].utterances
            message = f"speaker {name} has {speaker.utterances} utterances here and {theirs} in {other.path}"
            yield speaker.first, Finding(Kind.SHARED_SPEAKER, message, Severity.WARNING)


def find_other_bandwidth(scan: Scan, other: Scan) -> Iterator[tuple[int, Finding]]:
    """Whether one manifest's recordings, by the median, reach much higher than another's; told at the first row."""
    ours, theirs = (_median(one.bandwidths) for one in (scan, other))
    if min(ours, theirs) < _ALIKE * max(ours, theirs):
        message = f"recordings here reach {ours / 1000:.1f} kHz, those of {other.path} {theirs / 1000:.1f} kHz"
        yield 0, Finding(Kind.OTHER_BANDWIDTH, message, Severity.WARNING)


def _median(values: npt.NDArray[np.floating[Any]]) -> float:
    """Of those that are numbers; NaN where none is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan


def repeats(digests: npt.NDArray[np.uint64]) -> list[tuple[int, int]]:
    """(row, first row with the same digest) for each row of (N,) that is not the first; 0 is no digest."""
    _, firsts, group = np.unique(digests, return_index=True, return_inverse=True)
    first = firsts[group]
    rows = np.flatnonzero((first != np.arange(len(digests))) & (digests != 0))
    return [(int(row), int(first[row])) for row in rows]


def matches(digests: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]) -> list[tuple[int, int]]:
    """(row, first row of the others with the same digest) for each row of (N,) that has one; 0 is no digest."""
    known, firsts = np.unique(others, return_index=True)
    rows = np.flatnonzero(np.isin(digests, known) & (digests != 0))
    return [(int(row), int(firsts[np.searchsorted(known, digests[row])])) for row in rows]


def outliers(values: npt.NDArray[np.float64], sigmas: float, least_below: float, least_above: float) -> list[int]:
    """Indices of the (N,) values that are far below or far above their median.

    Far is so many robust standard deviations, taken for each side on its own since lengths are skewed, and no
    less than the given distance, without which data that is all alike would be full of outliers.

    Source: Rousseeuw and Croux, "Alternatives to the Median Absolute Deviation", JASA 1993 (section 1).
    """
    distances = values - np.median(values)
    below = max(sigmas * _SIGMA * float(np.median(-distances[distances <= 0])), least_below)
    above = max(sigmas * _SIGMA * float(np.median(distances[distances >= 0])), least_above)
    return [int(index) for index in np.flatnonzero((distances < -below) | (distances > above))]
