"""From a configuration to a module."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from steno.features.config import FeatureConfig, MaskConfig
from steno.features.frontend import FrontEnd
from steno.features.masking import apply_masks
from steno.features.vocal_tract import stretched
from steno.features.waveform import Waveform
from steno.models.config import (
    ConformerConfig,
    JasperConfig,
    ModelConfig,
    QuartzNetConfig,
    ResCnnGruStreamConfig,
    Wav2Vec2Config,
)
from steno.models.conformer import Conformer
from steno.models.jasper import Jasper
from steno.models.quartznet import QuartzNet
from steno.models.rescnn_bigru import ResCnnBiGru
from steno.models.rescnn_gru_stream import ResCnnGruStream
from steno.models.wav2vec2 import Wav2Vec2
from steno.phonemes import PhonemeConfig

Encoder = ResCnnBiGru | ResCnnGruStream | Conformer | Jasper | QuartzNet | Wav2Vec2
"""Features (B, T, F) and their frames (B,) to logits (B, T', V) and their frames (B,)."""


_FOR_TRAINING = "encoder.phonemes.states."


class Heads(NamedTuple):
    """Log-probabilities by what they are of.

    Args:
        labels_lbtv: of the text's labels, at the intermediate layers and, last, at the end (L, B, T, V).
        phonemes_btp: of the phonemes, (B, T, P).
        states_bnk: of the phonemes' states in each feature frame, (B, N, K), while these are trained.
    """

    labels_lbtv: Tensor
    phonemes_btp: Tensor | None = None
    states_bnk: Tensor | None = None


class AcousticModel(nn.Module):
    """Samples to CTC log-probabilities: the front-end and an encoder, the whole of what is trained and exported.

    V are the labels of its text; with ``phonemes`` the P labels of these come after them, with chances of their own,
    and V of what it gives is V + P. While it is trained with ``phonemes.frames`` there follow, with chances of their
    own too, the K states of the phonemes in each of the feature frames that an output frame is made of.
    """

    def __init__(
        self, features: FeatureConfig, model: ModelConfig, labels: int, phonemes: PhonemeConfig | None = None
    ) -> None:
        super().__init__()
        self.labels, self._phonemes = labels, phonemes
        self.frontend = Waveform(features) if features.kind == "waveform" else FrontEnd(features)
        self.encoder = build_encoder(features, labels, model, phonemes)

    def forward(
        self,
        samples_bn: Tensor,
        lengths_b: Tensor,
        masks: tuple[MaskConfig, Tensor] | None = None,
        intermediate: bool = False,
        views: int = 1,
        vocal_tract: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Samples (B, N) with their lengths (B,) → log-probabilities (B, T, V) and their frames (B,).

        ``masks`` are SpecAugment's settings and random numbers, (B, K), while training. With ``intermediate`` the
        log-probabilities of the text's labels at the encoder's intermediate layers come before all others. With
        ``views`` the whole batch is there so often, one view after the other, and B of the masks and of the output
        is so many times that of the samples. ``vocal_tract`` stretches the frequencies of each utterance and view by up
        to so much, at random.
        """
        with torch.no_grad(), torch.autocast(samples_bn.device.type, enabled=False):
            features_btf, frames_b = self.frontend(samples_bn, lengths_b)
            if views > 1:
                features_btf, frames_b = features_btf.repeat(views, 1, 1), frames_b.repeat(views)
            if vocal_tract:
                uniform_b = torch.rand(len(features_btf), device=features_btf.device)
                features_btf = stretched(features_btf, uniform_b, vocal_tract, self.frontend.config)
            if masks is not None and not isinstance(self.encoder, Wav2Vec2):
                features_btf = apply_masks(features_btf, frames_b, masks[1], masks[0])
        if intermediate:
            taps: list[Tensor] = []
            logits_btv, frames_b = self.encoder(features_btf, frames_b, taps)
            return torch.cat([*map(self.log_probs, taps), self.log_probs(logits_btv)], dim=-1), frames_b
        if isinstance(self.encoder, Wav2Vec2):
            logits_btv, frames_b = self.encoder(features_btf, frames_b, masks)
        else:
            logits_btv, frames_b = self.encoder(features_btf, frames_b)
        return self.log_probs(logits_btv), frames_b

    def log_probs(self, logits: Tensor) -> Tensor:
        """Of the text's labels, of the phonemes and of each frame's states, each by themselves: (…, V) → (…, V)."""
        logits, phonemes = logits.float(), self._phonemes
        if phonemes is None or logits.shape[-1] == self.labels:
            return logits.log_softmax(dim=-1)
        both = self.labels + phonemes.labels
        parts = [logits[..., : self.labels].log_softmax(dim=-1), logits[..., self.labels : both].log_softmax(dim=-1)]
        if logits.shape[-1] > both:
            states = logits[..., both:].unflatten(-1, (-1, phonemes.states))
            parts.append(states.log_softmax(dim=-1).flatten(-2))
        return torch.cat(parts, dim=-1)

    def heads(self, log_probs_btv: Tensor) -> Heads:
        """The parts of what :meth:`forward` gives."""
        phonemes, width = self._phonemes, log_probs_btv.shape[-1]
        if phonemes is None:
            return Heads(log_probs_btv.unflatten(-1, (-1, self.labels)).movedim(-2, 0))
        per_frame = phonemes.states * self.encoder.config.subsampling if phonemes.frames and self.training else 0
        first = width - per_frame - phonemes.labels
        letters_btv, phonemes_btp, states_bts = log_probs_btv.split([first, phonemes.labels, per_frame], dim=-1)
        return Heads(
            letters_btv.unflatten(-1, (-1, self.labels)).movedim(-2, 0),
            phonemes_btp,
            states_bts.unflatten(-1, (-1, phonemes.states)).flatten(1, 2) if per_frame else None,
        )

    def weights(self) -> dict[str, Tensor]:
        """All but those that only training needs, which are in no model folder."""
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith(_FOR_TRAINING)}

    def learning_rate_scales(self) -> dict[str, float]:
        """Factors of the learning rate of those parameters that have one of their own, by name."""
        if not isinstance(self.encoder, Wav2Vec2):
            return {}
        return {f"encoder.{name}": scale for name, scale in self.encoder.learning_rate_scales().items()}

    def frames(self, lengths_b: Tensor) -> Tensor:
        """Output frames of recordings of so many samples."""
        frames_b: Tensor = self.encoder.frames(self.frontend.frames(lengths_b))
        return frames_b


def build_encoder(
    features: FeatureConfig, labels: int, config: ModelConfig, phonemes: PhonemeConfig | None = None
) -> Encoder:
    """The encoder that a configuration describes, from features to V labels, with fresh weights.

    Raises:
        ValueError: it is of a family that has no phonemes.
    """
    if isinstance(config, ConformerConfig):
        return Conformer(features.size, labels, config, phonemes)
    if phonemes:
        raise ValueError(f"a {config.architecture} has no phonemes")
    if isinstance(config, JasperConfig):
        return Jasper(features.size, labels, config)
    if isinstance(config, QuartzNetConfig):
        return QuartzNet(features.size, labels, config)
    if isinstance(config, Wav2Vec2Config):
        return Wav2Vec2(labels, config)
    if isinstance(config, ResCnnGruStreamConfig):
        return ResCnnGruStream(features.size, labels, config, features.seconds_per_frame)
    return ResCnnBiGru(features.size, labels, config)
