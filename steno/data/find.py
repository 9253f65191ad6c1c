"""One utterance of a corpus by its id, without reading the whole of it."""

from pathlib import Path

from steno import audio
from steno.data.manifest import Manifest, Utterance
from steno.data.shards.layout import index_folder
from steno.errors import ManifestError
from steno.text import normalize


def find_utterance(data: Path, identity: str) -> Utterance:
    """The utterance with this id, from a manifest or from a tree in LibriSpeech's layout.

    Raises:
        ManifestError: there is no such utterance, or it has no transcript or no recording.
    """
    tree = data.is_dir() and index_folder(data) is None
    utterance = _in_tree(data, identity) if tree else _in_manifest(data, identity)
    if not utterance.text:
        raise ManifestError(f"{data}: utterance {identity} has no transcript")
    return utterance


def _in_manifest(path: Path, identity: str) -> Utterance:
    for utterance in Manifest(path):
        if utterance.id == identity:
            return utterance
    raise ManifestError(f"{path}: there is no utterance {identity}", "`id` is a key of each line of the manifest.")


def _in_tree(root: Path, identity: str) -> Utterance:
    speaker, _, rest = identity.partition("-")
    chapter = rest.partition("-")[0]
    if not speaker or not chapter or any(part in identity for part in "/\\*?["):
        raise ManifestError(f"{identity!r} is not an id of LibriSpeech", "Ids look like 1089-134686-0000.")
    place = f"{speaker}/{chapter}/{speaker}-{chapter}.trans.txt"
    for transcripts in sorted([*root.glob(place), *root.glob(f"*/{place}"), *root.glob(f"*/*/{place}")]):
        for line in _lines(transcripts):
            name, _, text = line.partition(" ")
            if name == identity:
                return Utterance(identity, _recording(transcripts.parent, identity), 0.0, normalize(text), speaker)
    raise ManifestError(
        f"{root}: there is no utterance {identity}",
        f"Looked for {place} in this folder and two levels below. Give the folder LibriSpeech or a part of it.",
    )


def _lines(transcripts: Path) -> list[str]:
    try:
        return transcripts.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ManifestError(f"{transcripts}: is not UTF-8 text", "LibriSpeech's transcripts are.") from None


def _recording(folder: Path, identity: str) -> Path:
    for path in sorted(folder.glob(f"{identity}.*")):
        if audio.is_audio(path):
            return path
    raise ManifestError(f"{folder}: utterance {identity} has a transcript but no recording")
