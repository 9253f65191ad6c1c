"""Recordings of sentences that are read aloud: each is checked, kept as FLAC, and has its row in a manifest."""

import hashlib
import io
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from steno import audio
from steno.audio import Samples
from steno.data.check.problems import Severity
from steno.data.check.scan import examine
from steno.data.check.settings import Settings
from steno.data.manifest import Utterance
from steno.errors import AudioError, StenoError
from steno.evaluation.alignment import Pair, align
from steno.labelling.kept import Kept
from steno.labelling.prompts import Prompt
from steno.runtime import Recognizer
from steno.text import words

MANIFEST = "manifest.jsonl"
LONGEST_SECONDS = 30.0
"""Of a take; longer ones were not stopped."""
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Take:
    """What is thought of a recording: warnings of the check, and what a model heard beside what was to be read."""

    row: Utterance
    warnings: tuple[str, ...]
    heard: tuple[Pair, ...] | None


class Takes:
    """The recordings of one speaker in a folder, which may have others', too.

    Args:
        folder: gets the recordings and ``manifest.jsonl``.
        speaker: whose voice it is: letters, digits, ``_``, ``.`` and ``-``, as it is part of file names.
        prompts: what is to be read.
        settings: what each recording is checked against, as ``steno data check`` does.
        recognizer: listens, too; None where nothing does.

    Raises:
        StenoError: the speaker's name is no part of a file name, or the folder cannot be made.
        ManifestError: the manifest that is there is none.
    """

    def __init__(
        self,
        folder: Path,
        speaker: str,
        prompts: Sequence[Prompt],
        settings: Settings,
        recognizer: Recognizer | None = None,
    ) -> None:
        if not _NAME.fullmatch(speaker):
            raise StenoError(
                f"--speaker {speaker!r}: is part of file names", "Take letters, digits, _, . and -, as in anna-2."
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StenoError(f"{folder}: {error.strerror or error}", "Name another folder with --to.") from None
        self.folder, self.speaker, self.prompts = folder, speaker, prompts
        self.model = recognizer.config.name if recognizer else None
        self._settings, self._recognizer = settings, recognizer
        self._kept = Kept(folder / MANIFEST, lambda row: (row.speaker, row.text))
        self._lock = threading.Lock()

    @property
    def manifest(self) -> Path:
        """Where the rows are."""
        return self._kept.path

    def row(self, prompt: Prompt) -> Utterance | None:
        """The recording of a sentence, if there is one."""
        return self._kept.rows.get((self.speaker, prompt.text))

    @property
    def rows(self) -> list[Utterance]:
        """All recordings of this speaker, of other sentences too."""
        return [row for row in self._kept.rows.values() if row.speaker == self.speaker]

    def keep(self, prompt: Prompt, recording: bytes) -> Take:
        """Keep a recording of a sentence, in place of an earlier one.

        Raises:
            AudioError: it is none, or the check finds an error in it; then the earlier one stays.
            StenoError: it cannot be written.
        """
        samples, rate = _decoded(recording)
        name = f"{self.speaker}-{hashlib.sha256(prompt.text.encode()).hexdigest()[:8]}"
        path, partial = self.folder / f"{name}.flac", self.folder / f".{name}.part"
        row = Utterance(name, path, len(samples) / rate, prompt.text, self.speaker)
        with self._lock:
            try:
                soundfile.write(partial, samples, rate, format="FLAC", subtype="PCM_16")
                findings = examine((partial, row.duration, prompt.text), self._settings).findings
                if errors := [one.message for one in findings if one.severity is Severity.ERROR]:
                    raise AudioError("; ".join(errors), "Record it again.")
                partial.replace(path)
                self._kept.put(row)
            except (OSError, soundfile.SoundFileError) as error:
                raise StenoError(f"{path}: cannot be written ({error})") from None
            finally:
                partial.unlink(missing_ok=True)
            return Take(row, tuple(one.message for one in findings), self._heard(row))

    def forget(self, prompt: Prompt) -> None:
        """Remove the recording of a sentence.

        Raises:
            ManifestError: the manifest cannot be written.
        """
        with self._lock:
            if row := self.row(prompt):
                self._kept.remove((self.speaker, prompt.text))
                row.audio.unlink(missing_ok=True)

    def _heard(self, row: Utterance) -> tuple[Pair, ...] | None:
        if self._recognizer is None:
            return None
        samples = audio.load(row.audio, self._recognizer.sample_rate)
        (transcript,) = self._recognizer.transcribe([samples])
        return tuple(align(words(row.text or ""), words(transcript.text)))


def _decoded(recording: bytes) -> tuple[Samples, int]:
    """Samples (N,) of the first channel, and their rate."""
    try:
        samples_nc, rate = soundfile.read(io.BytesIO(recording), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise AudioError(f"this is no recording ({error})", "Record it again.") from None
    if len(samples_nc) > LONGEST_SECONDS * rate:
        raise AudioError(f"it lasts longer than {LONGEST_SECONDS:g} s", "Stop after the sentence.")
    return np.ascontiguousarray(samples_nc[:, 0]), int(rate)
