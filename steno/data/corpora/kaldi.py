"""Kaldi's data folders: ``wav.scp`` and ``text``, and if they are there ``segments`` and ``utt2spk``.

Source: the Kaldi documentation, "Data preparation". Commands in ``wav.scp`` are not run: those that only decode a file
(``sph2pipe``, ``flac``, ``cat``) are taken for that file.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from steno.data.corpora.base import NO_RECORDING, NO_TRANSCRIPT, Format, Problem, Row, Wanted
from steno.data.corpora.delimited import NOT_UTF8, is_text, read_text
from steno.data.corpora.times import PartError, channel, part, seconds
from steno.fragments import Part
from steno.storage import is_remote

_RECORDINGS, _TEXTS, _SEGMENTS, _SPEAKERS = "wav.scp", "text", "segments", "utt2spk"
_DECODERS = frozenset({"sph2pipe", "flac", "cat"})
_TO_THE_END = "-1"


def _recognises(source: Path) -> bool:
    return source.is_dir() and (source / _RECORDINGS).is_file() and (source / _TEXTS).is_file()


def _read(source: Path, wanted: Wanted) -> Iterator[Row | Problem]:
    recordings: dict[str, Part | Problem] = {}
    for where, name, rest in _lines(source / _RECORDINGS):
        recordings[name] = _recording(source, rest, where)
    parts = recordings
    if (source / _SEGMENTS).is_file():
        parts = {name: _segment(rest, where, recordings) for where, name, rest in _lines(source / _SEGMENTS)}
    speakers = {}
    if (source / _SPEAKERS).is_file():
        speakers = {name: rest for _, name, rest in _lines(source / _SPEAKERS)}
    for where, name, text in _lines(source / _TEXTS):
        found = parts.pop(name, None)
        if found is None:
            yield Problem(where, f"{name}: {NO_RECORDING}")
        elif isinstance(found, Problem):
            yield found
        elif not is_text(text):
            yield Problem(where, f"{name}: {NOT_UTF8}")
        else:
            yield Row(name, found.path, text, where, speakers.get(name) or None)
    for name, left in parts.items():
        yield left if isinstance(left, Problem) else Problem(str(left.path), f"{name}: {NO_TRANSCRIPT}")


def _lines(path: Path) -> Iterator[tuple[str, str, str]]:
    """Of each line that is not blank: where it is, its first word, and the rest.

    Raises:
        ManifestError: the file cannot be read.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if fields := line.split(maxsplit=1):
            yield f"{path}:{number}", fields[0], fields[1].strip() if len(fields) > 1 else ""


def _recording(source: Path, text: str, where: str) -> Part | Problem:
    if not text:
        return Problem(where, "names no recording")
    try:
        named = _decoded_by(text) if text.endswith("|") else Part(Path(text))
    except PartError as error:
        return Problem(where, str(error))
    return named._replace(recording=_there(source, named.recording.expanduser()))


def _decoded_by(command: str) -> Part:
    """What a command decodes, which ends in a bar.

    Raises:
        PartError: it does more than that.
    """
    try:
        program, *words = shlex.split(command.removesuffix("|"))
    except ValueError:  # of a quote that is not closed, or of nothing
        program, words = "", []
    program = Path(program).name
    if program not in _DECODERS or not words or "|" in words:
        raise PartError(f"{command!r} is a command: run it, and name the file that it makes")
    of_channel = None
    if program == "sph2pipe" and "-c" in words[:-2]:
        of_channel = channel(words[words.index("-c") + 1], first=1)
    return Part(Path(words[-1]), channel=of_channel)


def _there(source: Path, path: Path) -> Path:
    """A relative path starts where Kaldi was run, which is some folder above, or at the data folder itself."""
    if path.is_absolute() or is_remote(path):
        return path
    places = [source, *source.absolute().parents]
    return next((place / path for place in places if (place / path).exists()), source / path)


def _segment(text: str, where: str, recordings: dict[str, Part | Problem]) -> Part | Problem:
    fields = text.split()
    if len(fields) != 3:
        return Problem(where, "a segment is UTTERANCE RECORDING START END")
    name, start, end = fields
    whole = recordings.get(name)
    if whole is None:
        return Problem(where, f"{name}: is not in {_RECORDINGS}")
    if isinstance(whole, Problem):
        return whole
    try:
        return part(whole.recording, seconds(start), None if end == _TO_THE_END else seconds(end), whole.channel)
    except PartError as error:
        return Problem(where, str(error))


FORMAT = Format(
    name="kaldi",
    accepts="a data folder of Kaldi (wav.scp and text, with or without segments and utt2spk)",
    recognises=_recognises,
    read=_read,
    own_ids=True,
)
