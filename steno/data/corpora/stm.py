"""NIST's STM files, as of TED-LIUM: ``FILE CHANNEL SPEAKER BEGIN END <LABEL> TEXT``, each line a part of a recording.

Source: NIST, SCTK's documentation of ``stm``; the recordings' form, ``stm/NAME.stm`` beside ``sph/NAME.sph``, is
TED-LIUM's.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from steno.data.corpora.base import NO_RECORDING, Format, Problem, Row, Wanted, recordings, walk
from steno.data.corpora.delimited import NOT_UTF8, is_text, read_text
from steno.data.corpora.times import PartError, channel, part, seconds
from steno.errors import ManifestError

_ENDING = ".stm"
_COMMENT = ";;"
_LABEL = re.compile(r"<[^>]*>\s*")
_NOT_SPOKEN = re.compile(r"\{[^}]*\}|\(\d+\)")  # {NOISE}, and the number of a pronunciation: word(2)
_LEFT_OUT = {
    "ignore_time_segment_in_scoring": "is not transcribed",
    "<unk>": "has a word that nobody understood",
}


def _recognises(source: Path) -> bool:
    if source.is_file():
        return source.suffix.lower() == _ENDING
    return any(name.lower().endswith(_ENDING) for _, names in walk(source) for name in names)


def _read(source: Path, wanted: Wanted) -> Iterator[Row | Problem]:
    # The recordings of a single file are beside it, or in a folder beside its own.
    top = source if source.is_dir() else source.parent
    found, transcripts = _files(top if source.is_dir() or top.name != "stm" else top.parent)
    for transcript in transcripts if source.is_dir() else [source]:
        try:
            text = read_text(transcript)
        except ManifestError as error:
            yield Problem(str(transcript), error.message)
            continue
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip() and not line.lstrip().startswith(_COMMENT):
                yield _row(line, f"{transcript}:{number}", found)


def _files(top: Path) -> tuple[dict[str, Path], list[Path]]:
    """The recordings by their names without ending, and the transcripts."""
    found: dict[str, Path] = {}
    transcripts = []
    for folder, names in walk(top):
        found = recordings(folder, names)[0] | found
        transcripts += [folder / name for name in names if name.lower().endswith(_ENDING)]
    return found, transcripts


def _row(line: str, where: str, found: dict[str, Path]) -> Row | Problem:
    fields = line.split(maxsplit=5)
    if len(fields) < 5:
        return Problem(where, "a line is FILE CHANNEL SPEAKER BEGIN END <LABEL> TEXT")
    name, of_channel, speaker, begin, end = fields[:5]
    text = _LABEL.sub("", fields[5], count=1) if len(fields) > 5 and fields[5].startswith("<") else "".join(fields[5:])
    if reason := next((why for what, why in _LEFT_OUT.items() if what in text.casefold()), None):
        return Problem(where, reason)
    if not is_text(line):
        return Problem(where, NOT_UTF8)
    recording = found.get(Path(name).stem) or found.get(name)
    if recording is None:
        return Problem(where, f"{name}: {NO_RECORDING}")
    try:
        spoken = part(recording, seconds(begin), seconds(end), channel(of_channel, first=1))
    except PartError as error:
        return Problem(where, str(error))
    # TED-LIUM sets clitics apart: it 's.
    return Row(spoken.name, spoken.path, _NOT_SPOKEN.sub(" ", text).replace(" '", "'"), where, speaker)


FORMAT = Format(
    name="stm",
    accepts="NIST's .stm files with their recordings, as of TED-LIUM",
    recognises=_recognises,
    read=_read,
)
