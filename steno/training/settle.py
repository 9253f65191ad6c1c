"""What a recipe leaves to its data and its checkpoint: pieces of words, phonemes, the sizes of what is fine-tuned.

It is settled once, when a run starts, and kept in the run's folder: a resumed run needs neither sentencepiece nor the
checkpoint.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from steno.config import Strict, read_yaml, validate
from steno.data.batching import Indices
from steno.data.manifest import Manifest
from steno.errors import ModelError
from steno.models.config import Wav2Vec2Config, Wav2Vec2Sizes
from steno.models.wav2vec2 import check_samples, read_sizes
from steno.phonemes import PhonemeConfig, pronounce, symbols_of
from steno.runtime.folder import read_config
from steno.text import TokenizerConfig, words
from steno.tracking.registry import resolve
from steno.training.pieces import settled
from steno.training.recipe import Recipe

SETTLED = "settled.yaml"


class Settled(Strict):
    """What was settled; ``sizes`` where the model is fine-tuned."""

    tokenizer: TokenizerConfig
    phonemes: PhonemeConfig | None = None
    sizes: Wav2Vec2Sizes | None = None


def settle(recipe: Recipe, run_dir: Path, manifest: Manifest, indices: Indices, uri: str | None = None) -> None:
    """Settle what the recipe leaves open, and write it to the run's folder; nothing is written where nothing is open.

    Raises:
        StenoError: the pieces cannot be learnt, or the checkpoint cannot be used.
    """
    if not _open(recipe):
        return
    texts = [manifest[int(index)].text or "" for index in indices]
    found = Settled(
        tokenizer=settled(recipe.tokenizer, texts), phonemes=_phonemes(recipe, texts, uri), sizes=_sizes(recipe)
    )
    text = yaml.safe_dump(found.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
    (run_dir / SETTLED).write_text(text, encoding="utf-8")


def read_settled(recipe: Recipe, run_dir: Path) -> Recipe:
    """The recipe with what was settled for this run.

    Raises:
        ModelError: the run's folder lacks it, or it was changed.
    """
    if not _open(recipe):
        return recipe
    path = run_dir / SETTLED
    found = validate(Settled, read_yaml(path, ModelError), str(path), ModelError)
    model = recipe.model
    if isinstance(model, Wav2Vec2Config):
        model = model.model_copy(update={"sizes": found.sizes})
    return recipe.model_copy(update={"tokenizer": found.tokenizer, "phonemes": found.phonemes, "model": model})


def _open(recipe: Recipe) -> bool:
    return (
        recipe.tokenizer.kind != "characters" or isinstance(recipe.model, Wav2Vec2Config) or recipe.phonemes is not None
    )


def _phonemes(recipe: Recipe, texts: Sequence[str], uri: str | None) -> PhonemeConfig | None:
    """With the symbols of the model that the run starts from, where it has such phonemes, or of the transcripts."""
    phonemes = recipe.phonemes
    if phonemes is None:
        return None
    if not phonemes.symbols and recipe.training.start_from:
        theirs = read_config(resolve(recipe.training.start_from, uri)).phonemes
        if theirs is not None and theirs.voice == phonemes.voice:
            return phonemes.model_copy(update={"symbols": theirs.symbols})
    return with_symbols(phonemes, texts)


def with_symbols(phonemes: PhonemeConfig, texts: Iterable[str]) -> PhonemeConfig:
    """With the symbols of what these texts sound like, where it has none."""
    if phonemes.symbols:
        return phonemes
    pronounced = pronounce((word for text in texts for word in words(text)), phonemes.voice)
    return phonemes.model_copy(update={"symbols": symbols_of(pronounced)})


def _sizes(recipe: Recipe) -> Wav2Vec2Sizes | None:
    if not isinstance(recipe.model, Wav2Vec2Config):
        return None
    check_samples(recipe.model.checkpoint, recipe.features)
    return recipe.model.sizes or read_sizes(recipe.model.checkpoint)
