"""``wav2vec2``: fine-tuning of a wav2vec 2.0 checkpoint, through the transformers library.

Source: Baevski et al., "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations", NeurIPS
2020. Layer-wise learning rates: Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL
2018. Cannot stream: every frame attends to the whole utterance.

The library's modules are used one by one, so that padding changes nothing, also where the checkpoint normalises
over time (BASE does, and the library's own batches then depend on their padding).
"""

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from steno.errors import MissingExtraError, ModelError
from steno.features.config import FeatureConfig, MaskConfig
from steno.features.masking import apply_masks
from steno.models.config import Wav2Vec2Config, Wav2Vec2Sizes
from steno.models.layers import inside_mask, recomputed

_OFFLINE = "Give a folder with config.json and model.safetensors, or download the checkpoint where there is a network."


class Wav2Vec2(nn.Module):
    """Samples to CTC logits, with fresh weights; :meth:`load` takes the checkpoint's."""

    def __init__(self, labels: int, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.config = config
        self.sizes = sizes = config.sizes or read_sizes(config.checkpoint)
        self.body = _body(sizes, config)
        # Learnt in pre-training where the checkpoint has it: what a masked frame is.
        self.masked = nn.Parameter(torch.zeros(sizes.hidden_size))
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(sizes.hidden_size, labels)
        for parameter in self.body.feature_extractor.parameters():
            parameter.requires_grad_(False)

    def load(self) -> None:
        """Take the checkpoint's weights.

        Raises:
            ModelError: there is no such checkpoint, it is another kind of model, or its weights are no safetensors.
        """
        loaded = _pretrained(self.config.checkpoint)
        masked = getattr(loaded, "masked_spec_embed", None)
        tensors = {name: value for name, value in loaded.state_dict().items() if name != "masked_spec_embed"}
        try:
            self.body.load_state_dict(tensors)
        except RuntimeError as error:
            raise ModelError(f"{self.config.checkpoint}: its weights do not fit ({error})") from error
        if masked is not None:
            with torch.no_grad():
                self.masked.copy_(masked)

    def frames(self, samples_b: Tensor) -> Tensor:
        """Output frames of recordings of so many samples, at least one."""
        frames_b = samples_b.clamp(min=self._field)
        for kernel, stride in zip(self.sizes.conv_kernel, self.sizes.conv_stride, strict=True):
            frames_b = torch.div(frames_b - kernel, stride, rounding_mode="floor") + 1
        return frames_b

    def learning_rate_scales(self) -> dict[str, float]:
        """Factors of the learning rate, by name: the classifier's is 1, and each layer below has a smaller one."""
        layers, decay = self.sizes.num_hidden_layers, self.config.layer_decay
        scales = {}
        for name, parameter in self.named_parameters():
            parts = name.split(".")
            if not parameter.requires_grad or parts[0] == "classifier":
                continue
            above = layers - int(parts[3]) if parts[:3] == ["body", "encoder", "layers"] else layers + 1
            if parts[:3] == ["body", "encoder", "layer_norm"] and self.sizes.do_stable_layer_norm:
                above = 1  # there it comes after the last layer
            scales[name] = decay**above
        return scales

    def forward(
        self, samples_bn1: Tensor, lengths_b: Tensor, masks: tuple[MaskConfig, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Samples (B, N, 1) and their lengths (B,) → logits (B, T, V) and their frames (B,).

        ``masks``, SpecAugment's settings and random numbers, hide frames and channels of what the convolutions give.
        """
        frames_b = self.frames(lengths_b)
        x_btd = self._convolved(samples_bn1[..., 0], lengths_b)[:, : frames_b.max()]
        x_btd, _ = self.body.feature_projection(x_btd)
        if masks is not None:
            kept_btd = apply_masks(torch.ones_like(x_btd), frames_b, masks[1], masks[0])
            hidden_bt1 = ~kept_btd.any(dim=-1, keepdim=True)
            x_btd = x_btd * kept_btd + self.masked * hidden_bt1
        x_btd = self._transformed(x_btd, inside_mask(frames_b, x_btd.shape[1]))
        return self.classifier(self.dropout(x_btd)), frames_b

    @property
    def _field(self) -> int:
        """Samples that one frame of the convolutions sees."""
        field, step = 1, 1
        for kernel, stride in zip(self.sizes.conv_kernel, self.sizes.conv_stride, strict=True):
            field, step = field + (kernel - 1) * step, step * stride
        return field

    def _convolved(self, samples_bn: Tensor, lengths_b: Tensor) -> Tensor:
        """(B, N) → (B, T, D), of which T may be more than any utterance has."""
        frames_b = lengths_b.clamp(min=self._field)
        # Short recordings get silence until they make a frame.
        x_bct = nn.functional.pad(samples_bn, (0, self._field))[:, None]
        for layer in self.body.feature_extractor.conv_layers:
            x_bct = layer.conv(x_bct)
            kernel, stride = layer.conv.kernel_size[0], layer.conv.stride[0]
            frames_b = torch.div(frames_b - kernel, stride, rounding_mode="floor") + 1
            norm = getattr(layer, "layer_norm", None)
            if isinstance(norm, nn.GroupNorm):
                x_bct = _normalised_over_time(x_bct, frames_b, norm)
            elif norm is not None:
                x_bct = norm(x_bct.transpose(1, 2)).transpose(1, 2)
            x_bct = layer.activation(x_bct)
        return x_bct.transpose(1, 2)

    def _transformed(self, x_btd: Tensor, inside_bt: Tensor) -> Tensor:
        encoder, stable = self.body.encoder, self.sizes.do_stable_layer_norm
        x_btd = x_btd * inside_bt[..., None]
        x_btd = x_btd + encoder.pos_conv_embed(x_btd)
        x_btd = encoder.dropout(x_btd if stable else encoder.layer_norm(x_btd))
        heard_b11t = inside_bt[:, None, None, :]
        for layer in encoder.layers:
            if self.training and float(torch.rand(())) < self.config.layer_drop:
                continue
            x_btd = recomputed(layer, x_btd, heard_b11t, when=self.config.checkpoint_gradients)
        return encoder.layer_norm(x_btd) if stable else x_btd


def read_sizes(name: str) -> Wav2Vec2Sizes:
    """The sizes of a checkpoint.

    Raises:
        ModelError: there is no such checkpoint, or it is another kind of model.
    """
    plain = _config(name).to_dict()
    if plain.get("add_adapter"):
        raise ModelError(f"{name}: has an adapter behind its layers, which Steno does not fine-tune")
    return Wav2Vec2Sizes.model_validate({key: plain[key] for key in Wav2Vec2Sizes.model_fields})


def check_samples(name: str, features: FeatureConfig) -> None:
    """Whether a checkpoint was trained on samples as the front-end gives them.

    Raises:
        ModelError: it was trained at another rate or level, as its ``preprocessor_config.json`` says.
    """
    try:
        made = _transformers().Wav2Vec2FeatureExtractor.from_pretrained(name)
    except (OSError, ValueError):
        return  # not every checkpoint says
    if made.sampling_rate != features.sample_rate:
        raise ModelError(
            f"{name}: takes {made.sampling_rate} Hz, the recipe's features.sample_rate is {features.sample_rate}",
            f"Set features.sample_rate={made.sampling_rate}.",
        )
    wanted = "utterance" if made.do_normalize else "none"
    if features.normalize != wanted:
        raise ModelError(
            f"{name}: takes samples with normalize {wanted}, the recipe has {features.normalize}",
            f"Set features.normalize={wanted}.",
        )


def _body(sizes: Wav2Vec2Sizes, config: Wav2Vec2Config) -> Any:
    """The library's model with fresh weights; its own masking is off, and it has no embedding of masked frames."""
    library, chance = _transformers(), config.dropout
    return library.Wav2Vec2Model(
        library.Wav2Vec2Config(
            **sizes.model_dump(),
            num_feat_extract_layers=len(sizes.conv_dim),
            hidden_dropout=chance,
            attention_dropout=chance,
            activation_dropout=chance,
            feat_proj_dropout=chance,
            layerdrop=0.0,
            mask_time_prob=0.0,
            mask_feature_prob=0.0,
            attn_implementation="sdpa",
        )
    )


def _config(name: str) -> Any:
    library = _transformers()
    with _Reading(name):
        config = library.AutoConfig.from_pretrained(name)
    if config.model_type != "wav2vec2":
        raise ModelError(
            f"{name}: is a {config.model_type} checkpoint, not a wav2vec2 one",
            "Give a checkpoint whose config.json has model_type wav2vec2, such as facebook/wav2vec2-base.",
        )
    return config


def _pretrained(name: str) -> Any:
    config = _config(name)
    with _Reading(name):
        model, told = _transformers().Wav2Vec2Model.from_pretrained(
            name, config=config, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
    missing = sorted(set(told["missing_keys"]) - {"masked_spec_embed"})
    if missing:
        raise ModelError(f"{name}: lacks weights: {', '.join(missing[:5])}", "The checkpoint is not complete.")
    return model


class _Reading:
    """Turns what the library raises for a checkpoint that it cannot read into an error that says what to do."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        if Path(self._name).is_dir() and not (Path(self._name) / "config.json").is_file():
            raise ModelError(f"{self._name}: is not a checkpoint: it has no config.json", _OFFLINE)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError | ValueError | SafetensorError):
            return
        name, first = self._name, str(error).strip().split("\n")[0]
        if Path(name).is_dir():
            raise ModelError(
                f"{name}: its weights or its configuration cannot be read ({first})",
                "Weights are read from model.safetensors alone, never from pickles such as pytorch_model.bin.",
            ) from error
        if Path(name).is_absolute() or name.startswith("."):
            raise ModelError(f"{name}: no such folder", _OFFLINE) from error
        away = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0") else ""
        raise ModelError(
            f"{name}: no such folder, and the Hugging Face hub has no such checkpoint or cannot be reached{away}: "
            f"{first}",
            _OFFLINE,
        ) from error


def _transformers() -> Any:
    """The library.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import transformers
    except ModuleNotFoundError:
        raise MissingExtraError("transformers", "wav2vec2") from None
    return transformers


def _normalised_over_time(x_bct: Tensor, frames_b: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Each channel of each utterance with zero mean and unit variance over its own frames, then scaled."""
    with torch.autocast(x_bct.device.type, enabled=False):
        exact_bct = x_bct.float()
        inside_b1t = inside_mask(frames_b, x_bct.shape[2])[:, None]
        count_b11 = frames_b[:, None, None]
        mean_bc1 = (exact_bct * inside_b1t).sum(dim=2, keepdim=True) / count_b11
        centred_bct = (exact_bct - mean_bc1) * inside_b1t
        variance_bc1 = centred_bct.square().sum(dim=2, keepdim=True) / count_b11
        scaled_bct = centred_bct * (variance_bc1 + norm.eps).rsqrt()
        return (scaled_bct * norm.weight[:, None] + norm.bias[:, None]).to(x_bct.dtype)
