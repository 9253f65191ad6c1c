"""A recipe: one whole experiment as a typed value, read from YAML and checked when it is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, model_validator

from steno.config import Fraction, Strict, read_yaml, validate
from steno.data.config import AugmentConfig, DataConfig, mp3_bit_rates
from steno.errors import RecipeError
from steno.features.config import FeatureConfig
from steno.models.config import ConformerConfig, ModelConfig, ResCnnBiGruConfig, StreamingConfig, Wav2Vec2Config
from steno.phonemes import PhonemeConfig
from steno.text import TokenizerConfig


class OptimizerConfig(Strict):
    """AdamW, or Muon for the matrices and kernels of hidden layers and AdamW for all else.

    ``lr`` is the peak of the schedule. Muon makes each step of a matrix orthogonal, which needs fewer steps for the
    same loss and some more time for each (Jordan et al., 2024; scaled to AdamW's learning rates as by Liu et al.,
    "Muon is Scalable for LLM Training", 2025).
    """

    kind: Literal["adamw", "muon"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    betas: tuple[Fraction, Fraction] = (0.9, 0.98)
    eps: float = Field(1e-8, gt=0)


class ScheduleConfig(Strict):
    """One cycle: a cosine rise for ``warmup`` of the run from lr / ``start``, a cosine fall to lr / ``end``.

    Source: Smith and Topin, "Super-Convergence", 2018.
    """

    warmup: Fraction = 0.15
    start: float = Field(25.0, ge=1)
    end: float = Field(1000.0, ge=1)


def _as_text(value: Any) -> Any:
    """A number as YAML reads it, ``precision: 32``, as the text that it was."""
    return str(value) if type(value) is int else value


class ConsistencyConfig(Strict):
    """Two views of each utterance, with masks and dropout of their own, are drawn to each other (CR-CTC).

    A step then costs twice the time. ``from_epoch`` is the number of epochs before that, with one view.
    """

    weight: float = Field(0.2, gt=0)
    from_epoch: int = Field(0, ge=0)


class TrainingConfig(Strict):
    """The loop."""

    epochs: int = Field(10, ge=1)
    start_from: str | None = Field(
        None, min_length=1, description="a MODEL whose weights the run starts with: fine-tuning"
    )
    precision: Annotated[Literal["auto", "32", "bf16"], BeforeValidator(_as_text)] = Field(
        "auto", description="auto: bf16 on a GPU that has it"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    accumulate: int = Field(
        1, ge=1, description="parts of each process's share of a batch, one after the other in memory"
    )
    grad_clip: float | None = Field(5.0, gt=0, description="greatest norm of the gradient")
    average: Literal["ema", "best", "none"] = Field("ema", description="what the final weights are")
    ema_decay: float = Field(0.999, gt=0, lt=1)
    intermediate_weight: Fraction = Field(0.3, description="share of the loss at the model's intermediate layers")
    consistency: ConsistencyConfig | None = None
    keep_best: int = Field(3, ge=1, description="checkpoints kept, by dev WER, then CER")
    patience: int | None = Field(None, ge=1, description="stop after so many epochs without a better dev WER")
    checkpoint_seconds: float = Field(120.0, ge=0, description="also save in mid-epoch so often; 0: each step")
    max_bad: Fraction = Field(0.1, description="stop when more of an epoch's utterances had to be skipped")
    log_utterances: bool = Field(False, description="write the ids that each step has seen to utterances.tsv")
    examples: int = Field(4, ge=0, description="target/predicted pairs shown each epoch")


class TrackingConfig(Strict):
    """Where the run is tracked and under which name the model is registered."""

    experiment: str = "Steno"
    register_as: str | None = None


class Recipe(Strict):
    """One experiment."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    seed: int = Field(1, ge=0)
    data: DataConfig
    features: FeatureConfig = FeatureConfig()
    augment: AugmentConfig = AugmentConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ResCnnBiGruConfig()
    phonemes: PhonemeConfig | None = None
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    training: TrainingConfig = TrainingConfig()
    tracking: TrackingConfig = TrackingConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.training.consistency and not self.augment.mask:
            raise ValueError("training.consistency compares two maskings of an utterance, and augment.mask is absent")
        if (self.features.kind == "waveform") != isinstance(self.model, Wav2Vec2Config):
            raise ValueError("features.kind is waveform for model.architecture wav2vec2, and for no other")
        if self.training.start_from and isinstance(self.model, Wav2Vec2Config):
            raise ValueError("wav2vec2 starts from model.checkpoint; training.start_from is for the other families")
        if self.augment.vocal_tract and self.features.kind != "log-mel":
            raise ValueError("augment.vocal_tract stretches log-mel features, and features.kind is another")
        if self.augment.codec:
            mp3_bit_rates(self.features.sample_rate)
        if self.phonemes:
            self._check_phonemes(self.phonemes)
        if isinstance(self.model, StreamingConfig):
            self.model.check(self.features)
        return self

    def _check_phonemes(self, phonemes: PhonemeConfig) -> None:
        if not isinstance(self.model, ConformerConfig):
            raise ValueError(f"phonemes are for model.architecture conformer, which {self.model.architecture} is not")
        if phonemes.block >= self.model.layers:
            raise ValueError(f"phonemes.block {phonemes.block}: is one from 1 to {self.model.layers - 1}")
        first, last = self.model.squeeze or (0, 0)
        if first <= phonemes.block < last:
            raise ValueError(
                f"phonemes.block {phonemes.block}: its frames are twice as long by model.squeeze, too long for "
                "phonemes; take one before or after, or the last of them"
            )

    @property
    def intermediate(self) -> bool:
        """Whether the loss is taken at intermediate layers of the model too."""
        return bool(getattr(self.model, "intermediate", ())) and self.training.intermediate_weight > 0

    @property
    def seconds_per_frame(self) -> float:
        """Distance of two frames that the model emits, in seconds."""
        return self.features.seconds_per_frame * self.model.subsampling


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``key=value`` overrides, such as ``training.epochs=3``.

    Values are read as YAML. Raises:
        RecipeError: the file or an override is not valid; the key is named and the nearest one suggested.
    """
    path = Path(path)
    data = read_yaml(path, RecipeError)
    for override in overrides:
        _apply(data, override)
    return validate(Recipe, data, f"{path}" + (f" with {' '.join(overrides)}" if overrides else ""), RecipeError)


def dump_recipe(recipe: Recipe) -> str:
    """The recipe with all its defaults, as YAML that :func:`load_recipe` reads back."""
    text: str = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
    return text


def flat_params(recipe: Recipe) -> dict[str, Any]:
    """Dotted keys and plain values of every setting, for a tracking server."""
    return dict(_flatten(recipe.model_dump(mode="json")))


def _flatten(node: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in node.items():
        pairs += _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return pairs


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"override {override!r} is not of the form key=value", "Example: training.epochs=3")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"override {override!r}: {text!r} is not a YAML value") from None
    *parents, leaf = key.strip().split(".")
    node = data
    for name in parents:
        child = node.get(name)
        if not isinstance(child, dict):
            child = node[name] = {}
        node = child
    node[leaf] = value
