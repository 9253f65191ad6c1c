"""Recordings with annotations of the same name beside each: Praat's TextGrid, ELAN's .eaf, Audacity's label tracks.

Source of the last: the Audacity manual, "Importing and Exporting Labels".
"""

import re
from collections.abc import Iterator
from pathlib import Path

from steno.data.corpora import elan, table, textgrid
from steno.data.corpora.base import Format, Problem, Row, Wanted, alone, has_pairs, pairs
from steno.data.corpora.delimited import NOT_UTF8, decode, is_text
from steno.data.corpora.tiers import AnnotationError, Interval, Tier
from steno.data.corpora.times import PartError, part, seconds

_TRACK, _ELAN, _TEXTGRID = ".txt", ".eaf", ".textgrid"
_LABEL = re.compile(r"^\d+(?:[.,]\d+)?\t\d+(?:[.,]\d+)?[ \r]*(?:\t|$)", re.MULTILINE)
_FREQUENCIES = "\\"
# What annotators and aligners write where nobody speaks, and for words that nobody understood.
_SILENCES = frozenset({"", "#", "sil", "<sil>", "sp", "<sp>", "<p>", "<p:>", "<nib>"})
_NOT_UNDERSTOOD = re.compile(r"<unk>|<usb>|^spn$", re.IGNORECASE)


def is_track(text: str) -> bool:
    """Whether a text has lines of Audacity's labels, START, END and TEXT between tabs, as no transcript has."""
    return bool(_LABEL.search(text))


def _recognises(source: Path) -> bool:
    if source.is_dir():
        return has_pairs(source, _stems, _fits)
    return bool(_stems(source)) and _fits(source) and not table.FORMAT.recognises(source)


def _stems(transcript: Path) -> list[str]:
    return [transcript.stem] if transcript.suffix.lower() in (_TRACK, _ELAN, _TEXTGRID) else []


def _fits(transcript: Path) -> bool:
    try:
        return transcript.suffix.lower() != _TRACK or is_track(decode(transcript.read_bytes()))
    except OSError:
        return False


def _read(source: Path, wanted: Wanted) -> Iterator[Row | Problem]:
    def annotated(recording: Path, transcript: Path) -> Iterator[Row | Problem]:
        return _rows(recording, transcript, wanted.tiers)

    return (alone if source.is_file() else pairs)(source, _stems, annotated)


def _rows(recording: Path, transcript: Path, names: tuple[str, ...]) -> Iterator[Row | Problem]:
    try:
        tiers = _tiers(recording, transcript, names)
    except AnnotationError as error:
        yield Problem(str(transcript), str(error))
        return
    for name in names:
        if all(tier.name != name for tier in tiers):
            yield Problem(str(transcript), f"has no tier {name!r} of intervals; it has {_listed(tiers)}")
    taken = [tier for tier in tiers if tier.name in names] if names else tiers
    several = len(names) > 1 or len(taken) > 1
    for tier in taken:
        speaker = tier.speaker or (tier.name if several else None)
        for item in tier.items:
            if isinstance(item, Problem):
                yield item
            elif not _is_silent(item):
                yield _row(recording, item, speaker)


def _tiers(recording: Path, transcript: Path, names: tuple[str, ...]) -> list[Tier]:
    """The tiers of a file; if none are named, those that are likely to hold utterances.

    Raises:
        AnnotationError: the file cannot be read, or the likely ones cannot be told.
    """
    path, kind = str(transcript), transcript.suffix.lower()
    try:
        data = transcript.read_bytes()
    except OSError as error:
        raise AnnotationError(f"cannot be read ({error.strerror or error})") from None
    if kind == _TRACK:
        if names:
            raise AnnotationError("is a text, which has no tiers: leave --tier out")
        return [_track(decode(data), path)]
    tiers = elan.read(data, path, recording) if kind == _ELAN else textgrid.read(decode(data), path)
    if not tiers:
        raise AnnotationError("has no tiers of intervals")
    if names:
        return tiers
    likely = [tier for tier in tiers if tier.top and not all(map(_is_silent, tier.items))]
    if not likely:
        raise AnnotationError(f"no tier at the top has text: say with --tier which of {_listed(tiers)} hold utterances")
    if len(likely) > 1 and kind == _TEXTGRID:
        raise AnnotationError(f"several tiers have text: say with --tier which of {_listed(likely)} hold utterances")
    return likely


def _track(text: str, path: str) -> Tier:
    """The labels of Audacity.

    Raises:
        AnnotationError: there are none.
    """
    if not is_track(text):
        raise AnnotationError("has no lines of START, END and TEXT between tabs; --format folder takes whole texts")
    items: list[Interval | Problem] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith(_FREQUENCIES):
            continue
        where = f"{path}:{number}"
        start, _, rest = line.strip("\r").partition("\t")
        end, _, label = rest.partition("\t")
        try:
            items.append(Interval(seconds(start), seconds(end), label, where))
        except PartError as error:
            items.append(Problem(where, str(error)))
    return Tier("", items)


def _is_silent(item: Interval | Problem) -> bool:
    return isinstance(item, Interval) and item.label.strip().casefold() in _SILENCES


def _listed(tiers: list[Tier]) -> str:
    return ", ".join(repr(tier.name) for tier in tiers)


def _row(recording: Path, interval: Interval, speaker: str | None) -> Row | Problem:
    where, text = interval.where, interval.label
    if not is_text(text):
        return Problem(where, NOT_UTF8)
    if _NOT_UNDERSTOOD.search(text.strip()):
        return Problem(where, "has a word that nobody understood")
    if interval.start < 0:
        return Problem(where, f"begins at {interval.start:g} s, before the recording")
    if interval.start == interval.end:
        return Problem(where, f"is a point at {interval.start:g} s: give it an end")
    try:
        spoken = part(recording, interval.start, interval.end)
    except PartError as error:
        return Problem(where, str(error))
    return Row(spoken.name, spoken.path, text, where, speaker)


FORMAT = Format(
    name="labels",
    accepts="recordings with annotations of the same name beside each (talk.wav, and talk.TextGrid of Praat, talk.eaf "
    "of ELAN or talk.txt with the labels of Audacity), or one such file",
    recognises=_recognises,
    read=_read,
)
