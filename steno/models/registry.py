"""From a configuration to a module."""

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


class AcousticModel(nn.Module):
    """Samples to CTC log-probabilities: the front-end and an encoder, the whole of what is trained and exported.

    V are the labels of its text; with ``phonemes`` the P labels of these come after them, with chances of their own,
    and V of what it gives is V + P.
    """

    def __init__(
        self, features: FeatureConfig, model: ModelConfig, labels: int, phonemes: PhonemeConfig | None = None
    ) -> None:
        super().__init__()
        self.labels = labels
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
        log-probabilities are (L, B, T, V): those of the encoder's intermediate layers, and the final ones last. With
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
            phonemes_btp = logits_btv[..., self.labels :]
            taps = [torch.cat([tap_btv, phonemes_btp], dim=-1) for tap_btv in taps]
            return self.log_probs(torch.stack([*taps, logits_btv])), frames_b
        if isinstance(self.encoder, Wav2Vec2):
            logits_btv, frames_b = self.encoder(features_btf, frames_b, masks)
        else:
            logits_btv, frames_b = self.encoder(features_btf, frames_b)
        return self.log_probs(logits_btv), frames_b

    def log_probs(self, logits: Tensor) -> Tensor:
        """Of the text's labels and of the phonemes, each by themselves: (…, V) → (…, V)."""
        logits = logits.float()
        if logits.shape[-1] == self.labels:
            return logits.log_softmax(dim=-1)
        parts = logits[..., : self.labels], logits[..., self.labels :]
        return torch.cat([part.log_softmax(dim=-1) for part in parts], dim=-1)

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
