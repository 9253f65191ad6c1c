"""The model folder: the one artefact that is trained, logged, measured and served."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from steno.config import Strict, read_yaml, validate
from steno.decoding.config import DecodingConfig
from steno.errors import ModelError
from steno.features.config import FeatureConfig
from steno.models.config import ModelConfig
from steno.phonemes import PhonemeConfig, Spelling, write_pronunciations
from steno.text import TokenizerConfig

CONFIG, WEIGHTS, ONNX, CARD = "config.yaml", "model.safetensors", "model.onnx", "README.md"
STREAM = "stream.onnx"
"""One step of a streaming model; other architectures have none."""
NEURAL_LM = "neural-lm.onnx"
"""A neural language model for the second pass; most folders have none."""

_PICKLES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill"})


class FolderConfig(Strict):
    """``config.yaml`` of a model folder.

    ``files`` holds the SHA-256 of each other file that is loaded; ``provenance`` says what the model was
    trained on and how well it does.
    """

    format: Literal[1] = 1
    name: str
    features: FeatureConfig
    tokenizer: TokenizerConfig
    model: ModelConfig
    phonemes: PhonemeConfig | None = None
    decoding: DecodingConfig = DecodingConfig()
    provenance: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)

    @property
    def seconds_per_frame(self) -> float:
        """Distance of two frames that the model emits, in seconds."""
        return self.features.seconds_per_frame * self.model.subsampling


def read_config(folder: Path) -> FolderConfig:
    """The configuration of a model folder.

    Raises:
        ModelError: there is no such folder, or it is not a valid model folder.
    """
    if not (folder / CONFIG).is_file():
        problem = "is not a model folder: it has no config.yaml" if folder.is_dir() else "no such model folder"
        raise ModelError(
            f"{folder}: {problem}",
            "Give a folder that `steno train` wrote, or models:/NAME@alias, models:/NAME/VERSION, runs:/ID/model.",
        )
    config = validate(FolderConfig, read_yaml(folder / CONFIG, ModelError), str(folder / CONFIG), ModelError)
    _refuse_strangers(folder, config)
    return config


def _refuse_strangers(folder: Path, config: FolderConfig) -> None:
    """That the configuration names files of the folder only, and that nothing there could run code when opened."""
    for name in (*config.files, *config.decoding.files):
        if name in ("", ".", "..") or set(name) & {"/", "\\", "\0"}:
            raise ModelError(
                f"{folder / CONFIG}: {name!r} is not the name of a file in the folder",
                "The configuration was tampered with; fetch or export the model again.",
            )
    for path in folder.iterdir():
        if path.suffix.lower() in _PICKLES:
            raise ModelError(
                f"{path}: a pickle, which can run code when it is opened; no model of Steno holds one",
                "Do not open it. Fetch the model again, from a source that you trust.",
            )


def write_config(folder: Path, config: FolderConfig) -> None:
    """Write ``config.yaml`` with the digests of the other files that are in the folder now, but for the card."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name not in (CONFIG, CARD))
    files = {name: digest(folder / name) for name in names}
    data = config.model_copy(update={"files": files}).model_dump(mode="json")
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    (folder / CONFIG).write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class DecodingFiles:
    """What settings of decoding name: n-grams, what words sound like, a neural language model. None stays as it is."""

    lm: Path | None = None
    pronounced: Mapping[str, Spelling] | None = None
    neural: Path | None = None


def with_decoding(
    folder: Path,
    target: Path,
    decoding: DecodingConfig,
    given: DecodingFiles,
    measured: dict[str, Any],
    told: str,
    title: str = "Decoding",
) -> None:
    """Give a model folder, or a copy of it at ``target``, settings of decoding and the files that they name.

    ``measured`` is what was found with them, for the provenance; ``told`` is the same in words, for the section of the
    card that has this title.
    """
    config = read_config(folder)
    if target != folder:
        shutil.copytree(folder, target)
    # Before anything goes: what is given may be of this very folder.
    for name, file in ((decoding.lm, given.lm), (decoding.neural_lm, given.neural)):
        if name is not None and file is not None and file.resolve() != (target / name).resolve():
            shutil.copyfile(file, target / name)
    for name in set(config.decoding.files) - set(decoding.files):
        (target / name).unlink(missing_ok=True)
    if decoding.pronunciations and given.pronounced is not None:
        write_pronunciations(target / decoding.pronunciations, given.pronounced)
    card = target / CARD
    if card.is_file():
        card.write_text(with_section(card.read_text(encoding="utf-8"), title, told), encoding="utf-8")
    provenance = {**config.provenance, "decoding": measured}
    write_config(target, config.model_copy(update={"decoding": decoding, "provenance": provenance}))


def with_section(card: str, title: str, text: str) -> str:
    """A card in Markdown with this section, in place of an older one of the same title, or at its end."""
    head, _, rest = card.partition(f"\n## {title}\n")
    _, heading, after = rest.partition("\n## ")
    return f"{head.rstrip()}\n\n## {title}\n\n{text.strip()}\n{heading}{after}"


def verified(folder: Path, config: FolderConfig, name: str) -> Path:
    """The path of one file of the folder, after its digest was checked.

    Raises:
        ModelError: the file is missing, lies elsewhere, has no digest, or is not the one that was written.
    """
    path = folder / name
    if not path.is_file():
        raise ModelError(f"{path}: missing", "The model folder is not complete; fetch or export it again.")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{path}: a link that leaves the model folder", "Put the file itself there.")
    if config.files.get(name) != digest(path):
        raise ModelError(
            f"{path}: its SHA-256 is not the one in {CONFIG}",
            "The file was changed or damaged after the model was written; fetch or export it again.",
        )
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
