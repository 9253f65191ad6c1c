"""Making the embedded corpus on disk, in LibriSpeech's layout.

Every utterance depends on the plan alone, and every file appears whole or not at all. So the work can be shared
among processes in any way, and a run that was interrupted goes on with the files that are missing.
"""

import fcntl
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from steno.audio import SAMPLE_RATE, Samples, duration
from steno.cores import become_worker, usable_cores
from steno.data.synth.acoustics import record
from steno.data.synth.plan import FEWEST_HOURS, MOST_HOURS, Chapter, Line, digest, draw_plan, lengths
from steno.errors import StenoError
from steno.espeak import Espeak, espeak

Progress = Callable[[int, int], None]
"""Called with the number of utterances that are there, and of all."""

_MARKER = "SYNTH.JSON"
_BYTES_PER_HOUR = 80e6


@dataclass(frozen=True)
class PartSummary:
    """One of the parts ``train-synth``, ``dev-synth``, ``test-synth``."""

    folder: Path
    utterances: int
    speakers: int
    hours: float


@dataclass(frozen=True)
class CorpusSummary:
    """What :func:`synthesise` made; ``made`` is 0 where all of it had been there."""

    folder: Path
    parts: tuple[PartSummary, ...]
    made: int


def synthesise(
    root: Path,
    seed: int = 1,
    hours: float = 3.0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CorpusSummary:
    """Make the embedded corpus below ``root/LibriSpeech``, or finish one that was interrupted.

    The same seed and hours give the same bytes, whatever the number of workers. With more than one worker,
    a script that calls this needs the usual ``if __name__ == "__main__"``, since the workers are spawned.

    Args:
        root: folder to hold ``LibriSpeech``; made if it is not there.
        seed: another one gives other sentences.
        hours: length of the training part, about; dev and test are as long as :func:`plan.lengths` says.
        workers: processes; None for one on each core that may be used.
        progress: told after each speaker.

    Raises:
        MissingExtraError: espeakng-loader is not installed.
        StenoError: a number is out of range, the folder holds something else or is being written to by another
            process, or the disk is full.
    """
    if not FEWEST_HOURS <= hours <= MOST_HOURS:
        raise StenoError(f"hours is {hours:g}", f"Give a number from {FEWEST_HOURS:g} to {MOST_HOURS:g}.")
    workers = usable_cores() if workers is None else workers
    if workers < 1:
        raise StenoError(f"workers is {workers}", "Give 1 or more.")
    plan = draw_plan(seed, hours)
    folder = Path(root) / "LibriSpeech"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _claimed(folder):
            made = _complete(folder, plan, {"seed": seed, "hours": hours}, workers, progress)
    except BrokenProcessPool:
        raise StenoError("a worker process was killed", "Run the same command again; it goes on.") from None
    except OSError as error:
        raise StenoError(
            f"{error.filename or folder}: {error.strerror or error}",
            "Free the disk or choose another folder, and run the same command again; it goes on.",
        ) from error
    return CorpusSummary(folder, tuple(_summarise(folder, plan, part) for part in lengths(hours)), made)


def _complete(
    folder: Path, plan: list[Chapter], settings: dict[str, Any], workers: int, progress: Progress | None
) -> int:
    """Make what is missing; the number of utterances made."""
    settings = {**settings, "plan": digest(plan)}
    kept = _read_marker(folder, plan)
    if kept is not None:
        _refuse_other(folder, kept, settings)
    missing = [chapter for chapter in plan if not _is_complete(folder, chapter)]
    if kept is not None and not missing and (folder / "SPEAKERS.TXT").exists():
        return 0
    _require_room(folder, missing, plan, settings["hours"])
    with espeak() as engine:
        settings["espeak"] = engine.version
        if kept is not None:
            _refuse_other(folder, kept, settings)
        for partial in folder.glob("**/*.part"):
            partial.unlink()
        _write(folder / _MARKER, f"{json.dumps(settings, indent=2)}\n".encode())
        made = _speak_all(engine, folder, missing, _count(plan), workers, progress)
    _write(folder / "SPEAKERS.TXT", _speakers_table(folder, plan).encode())
    return made


def _speak_all(
    engine: Espeak, folder: Path, missing: list[Chapter], total: int, workers: int, progress: Progress | None
) -> int:
    made, there = 0, total - _count(missing)
    for lines, new in _each(engine, folder, missing, min(workers, len(missing))):
        made += new
        there += lines
        if progress is not None:
            progress(there, total)
    return made


def _each(engine: Espeak, folder: Path, chapters: list[Chapter], workers: int) -> Iterator[tuple[int, int]]:
    """Speak the chapters; of each, as it is done, the number of its lines and of those that were new."""
    if workers <= 1:
        for chapter in chapters:
            yield len(chapter.lines), _speak_chapter(engine, folder, chapter)
        return
    # Not forked: the progress bar has a thread. Ctrl-C lets each finish its speaker.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=become_worker)
    try:
        tasks = {pool.submit(_speak_chapter, engine, folder, chapter): chapter for chapter in chapters}
        for task in as_completed(tasks):
            yield len(tasks[task].lines), task.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _speak_chapter(engine: Espeak, folder: Path, chapter: Chapter) -> int:
    home = _home(folder, chapter)
    home.mkdir(parents=True, exist_ok=True)
    missing = [line for line in chapter.lines if not _audio(home, line).exists()]
    for line in missing:
        speech = engine.speak(line.text, line.voice, line.scene.seed % 2**31)
        _write(_audio(home, line), _flac(record(speech, line.scene)))
    transcript = "".join(f"{line.id} {line.text.upper()}\n" for line in chapter.lines)
    _write(_transcript(folder, chapter), transcript.encode())
    return len(missing)


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder until the end of the block or of this process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StenoError(
                f"{folder}: another process is making a corpus here", "Wait until it ends, or choose another folder."
            ) from None
        yield
    finally:
        os.close(handle)


def _read_marker(folder: Path, plan: list[Chapter]) -> dict[str, Any] | None:
    """The settings that the corpus in the folder was begun with; None if there is none.

    Raises:
        StenoError: there is something that this module did not make.
    """
    path = folder / _MARKER
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = {"SPEAKERS.TXT", *(_part_name(chapter.part) for chapter in plan)}
        for name in sorted(names):
            if (folder / name).exists():
                raise StenoError(f"{folder / name} is there already", _ELSEWHERE) from None
        return None
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise StenoError(f"{path}: not the settings of a corpus", _ELSEWHERE)
    return settings


_ELSEWHERE = "Choose another folder with --to, or delete this one."


def _refuse_other(folder: Path, kept: dict[str, Any], wanted: dict[str, Any]) -> None:
    for key, value in wanted.items():
        if kept.get(key) != value:
            was = f"it has {key} {kept.get(key)}, not {value}"
            reason = "it was made by another version of Steno" if key == "plan" else was
            raise StenoError(f"{folder} holds a different corpus: {reason}", _ELSEWHERE)


def _require_room(folder: Path, missing: list[Chapter], plan: list[Chapter], hours: float) -> None:
    share = _count(missing) / _count(plan)
    wanted = _BYTES_PER_HOUR * sum(lengths(hours).values()) * share
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise StenoError(
            f"{folder}: {free / 1e6:.0f} MB are free, and the corpus takes about {wanted / 1e6:.0f} MB",
            "Ask for fewer --hours, or choose another disk with --to.",
        )


def _speakers_table(folder: Path, plan: list[Chapter]) -> str:
    head = [
        "; Synthetic speech, made by `steno data synth`: espeak-ng's voices say sentences that Steno composed.",
        ";ID  |SEX| SUBSET           |MINUTES| NAME",
    ]
    rows = []
    for chapter in plan:
        speaker, minutes = chapter.speaker, _seconds(folder, chapter) / 60
        name = f"espeak-ng {speaker.voice.name}, {speaker.voice.rate} words a minute, pitch {speaker.voice.pitch}"
        rows.append(f"{speaker.id:<5}| {speaker.sex} | {_part_name(chapter.part):<16} | {minutes:5.2f} | {name}")
    return "\n".join([*head, *rows]) + "\n"


def _summarise(folder: Path, plan: list[Chapter], part: str) -> PartSummary:
    chapters = [chapter for chapter in plan if chapter.part == part]
    seconds = sum(_seconds(folder, chapter) for chapter in chapters)
    return PartSummary(folder / _part_name(part), _count(chapters), len(chapters), seconds / 3600)


def _seconds(folder: Path, chapter: Chapter) -> float:
    home = _home(folder, chapter)
    return sum(duration(_audio(home, line)) for line in chapter.lines)


def _is_complete(folder: Path, chapter: Chapter) -> bool:
    home = _home(folder, chapter)
    return _transcript(folder, chapter).exists() and all(_audio(home, line).exists() for line in chapter.lines)


def _count(chapters: list[Chapter]) -> int:
    return sum(len(chapter.lines) for chapter in chapters)


def _part_name(part: str) -> str:
    return f"{part}-synth"


def _home(folder: Path, chapter: Chapter) -> Path:
    return folder / _part_name(chapter.part) / chapter.name.replace("-", "/")


def _transcript(folder: Path, chapter: Chapter) -> Path:
    return _home(folder, chapter) / f"{chapter.name}.trans.txt"


def _audio(home: Path, line: Line) -> Path:
    return home / f"{line.id}.flac"


def _flac(recording: Samples) -> bytes:
    encoded = io.BytesIO()
    integers = np.round(recording * 32767).astype(np.int16)
    soundfile.write(encoded, integers, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return encoded.getvalue()


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(content)
    partial.replace(path)
