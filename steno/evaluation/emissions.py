"""Emissions of a manifest, computed once and kept on disk, so that decoding can be tried many times."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from steno import audio
from steno.data.manifest import Manifest, Utterance
from steno.decoding.path import Emission
from steno.errors import AudioError, ManifestError
from steno.fragments import part_of
from steno.runtime import Recognizer
from steno.runtime.folder import CONFIG, ONNX, digest
from steno.storage import cache_home
from steno.text import words

GROUP_SECONDS = 240.0


@dataclass(frozen=True)
class Emissions:
    """References and log-probabilities of a manifest's utterances that have text and could be decoded.

    ``left_out`` names the others, with the reason.
    """

    ids: list[str]
    references: list[str]
    frames: npt.NDArray[np.int64]
    log_probs: Emission
    left_out: dict[str, str]

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Emission]:
        ends = np.cumsum(self.frames)
        return (self.log_probs[end - count : end] for count, end in zip(self.frames, ends, strict=True))


def emissions(recognizer: Recognizer, folder: Path, manifest: Manifest, limit: int | None = None) -> Emissions:
    """The emissions of the utterances with text, or of ``limit`` spread over them; from the cache if they are there.

    The cache is ``$XDG_CACHE_HOME/steno/emissions``; its key is the model's graph, the manifest, and the size and time
    of each recording of this machine. What has something left out is not kept.

    Raises:
        ManifestError: no utterance has text, or none can be decoded.
    """
    chosen = [utterance for utterance in manifest if words(utterance.text or "")]
    if limit is not None and limit < len(chosen):
        chosen = [chosen[place * len(chosen) // limit] for place in range(limit)]
    if not chosen:
        raise ManifestError(f"{manifest.path}: no utterance has text", "Decoding is tuned on transcribed speech.")
    graph = recognizer.config.files.get(ONNX) or digest(folder / CONFIG)
    made_of = [graph, manifest.digest, str(manifest.path.resolve()), *(_state(one.audio) for one in chosen)]
    key = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:24]
    home = cache_home() / "emissions"
    kept = home / f"{key}.npz"
    found, left_out = _read(kept) or _compute(recognizer, chosen)
    if not found:
        reasons = "; ".join(f"{identity}: {reason}" for identity, reason in list(left_out.items())[:3])
        raise ManifestError(f"{manifest.path}: no utterance can be decoded", reasons)
    if not left_out and not kept.exists():
        _write(kept, found)
    by_id = {utterance.id: utterance.text or "" for utterance in chosen}
    return Emissions(
        list(found),
        [by_id[identity] for identity in found],
        np.array([len(part) for part in found.values()], dtype=np.int64),
        np.concatenate(list(found.values())),
        left_out,
    )


def _state(recording: Path) -> str:
    """What changes when a recording does; nothing of one in a store, or in a shard."""
    try:
        found = part_of(recording).recording.stat()
    except OSError:
        return str(recording)
    return f"{recording} {found.st_size} {found.st_mtime_ns}"


def _compute(recognizer: Recognizer, chosen: list[Utterance]) -> tuple[dict[str, Emission], dict[str, str]]:
    found: dict[str, Emission] = {}
    left_out: dict[str, str] = {}
    group: list[tuple[str, audio.Samples]] = []
    for utterance in chosen:
        try:
            group.append((utterance.id, audio.load(utterance.audio, recognizer.sample_rate)))
        except AudioError as error:
            left_out[utterance.id] = error.message
        if sum(len(samples) for _, samples in group) > GROUP_SECONDS * recognizer.sample_rate:
            found |= _group(recognizer, group)
            group = []
    return found | _group(recognizer, group), left_out


def _group(recognizer: Recognizer, group: list[tuple[str, audio.Samples]]) -> dict[str, Emission]:
    parts = recognizer.emissions([samples for _, samples in group])
    return {identity: part for (identity, _), part in zip(group, parts, strict=True)}


def _read(path: Path) -> tuple[dict[str, Emission], dict[str, str]] | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as kept:
        ends = np.cumsum(kept["frames"])[:-1]
        parts = np.split(kept["log_probs"], ends)
        return dict(zip(kept["ids"].tolist(), parts, strict=True)), {}


def _write(path: Path, found: dict[str, Emission]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.npz")
    np.savez(
        partial,
        ids=np.array(list(found)),
        frames=np.array([len(part) for part in found.values()]),
        log_probs=np.concatenate(list(found.values())),
    )
    partial.replace(path)
