"""The front-end as one module: samples in, normalised features out.

The transform is a strided convolution with windowed cosines and sines, so that it exports to ONNX, and gives a stream
the frames that it gives the whole file. While a model is trained it is an FFT, several times as fast; what it rounds
differently is far below what noise and masks change. Every utterance of a padded batch gets what it would get alone:
its edges are reflected at its own end, not at the batch's.
"""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steno.features.config import FeatureConfig
from steno.features.mel import dct, dft_kernels, hann, mel_bank

LOG_OFFSET = 1e-6
"""Added to a mel energy before its logarithm is taken, as torchaudio's ``log_mels`` does."""
_SMALLEST_POWER = 1e-10
_LEAST_VARIANCE = 1e-2


class FrontEnd(nn.Module):
    """Spectrogram, mel, log-mel or MFCC features of a batch, normalised by corpus statistics.

    Equal to torchaudio 2.11's ``Spectrogram``, ``MelSpectrogram`` and ``MFCC`` (centred frames, reflected
    edges), with time before frequency.
    """

    kernels: Tensor
    window: Tensor
    bank: Tensor
    cosines: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        kernels = dft_kernels(config.n_fft, config.window)[:, None, :]
        bank = mel_bank(
            config.n_fft,
            config.sample_rate,
            config.n_mels,
            config.f_min,
            config.highest,
            config.mel_scale,
            config.norm == "slaney",
        )
        for name, matrix in {
            "kernels": kernels,
            "window": hann(config.window, config.n_fft),
            "bank": bank,
            "cosines": dct(config.n_mfcc, config.n_mels),
        }.items():
            self.register_buffer(name, torch.from_numpy(matrix.astype(np.float32)), persistent=False)
        self.register_buffer("mean", torch.zeros(config.size))
        self.register_buffer("std", torch.ones(config.size))

    def forward(self, samples_bn: Tensor, lengths_b: Tensor) -> tuple[Tensor, Tensor]:
        """Features of a batch.

        Args:
            samples_bn: samples (B, N), full scale ±1; what lies beyond an utterance's length is not read.
            lengths_b: samples of each utterance (B,), at least 1.

        Returns:
            Features (B, T, F), zero beyond each utterance's frames, and the number of frames (B,).
        """
        frames_b = self.frames(lengths_b)
        features_btf = self.transform(self.reflected(samples_bn, lengths_b), frames_b)
        inside_bt1 = (torch.arange(features_btf.shape[1], device=frames_b.device) < frames_b[:, None])[..., None]
        if self.config.normalize == "utterance":
            features_btf = _standardised(features_btf, inside_bt1, frames_b)
        return features_btf * inside_bt1, frames_b

    def frames(self, lengths_b: Tensor) -> Tensor:
        """Number of frames of recordings of so many samples."""
        # An odd n_fft has one sample more than the two halves that pad a recording.
        fitting_b = lengths_b - self.config.n_fft % 2
        return torch.div(fitting_b, self.config.hop_length, rounding_mode="floor") + 1

    def transform(self, padded_bm: Tensor, frames_b: Tensor) -> Tensor:
        """Normalised features (B, T, F) of signals (B, M) whose edges are already there."""
        c = self.config
        x = self._power(padded_bm)
        if c.power != 2:
            x = x.pow(c.power / 2)
        if c.kind != "spectrogram":
            x = x @ self.bank
        if c.kind == "log-mel" or (c.kind == "mfcc" and c.log_mels):
            x = (x + LOG_OFFSET).log()
        elif c.kind == "mfcc":
            x = self._decibels(x, frames_b)
        if c.kind == "mfcc":
            x = x @ self.cosines
        return (x - self.mean) / self.std

    def set_statistics(self, mean_f: Tensor, std_f: Tensor) -> None:
        """Take the corpus's mean and standard deviation (F,) for the normalisation."""
        self.mean.copy_(mean_f)
        self.std.copy_(std_f.clamp(min=1e-5))

    def reflected(self, samples_bn: Tensor, lengths_b: Tensor) -> Tensor:
        """Signals (B, N + n_fft or one less) with half a window of each recording (B, N) reflected at its edges."""
        pad = self.config.n_fft // 2
        position_m = torch.arange(samples_bn.shape[1] + 2 * pad, device=samples_bn.device) - pad
        last_b1 = (lengths_b - 1)[:, None]
        period_b1 = (2 * last_b1).clamp(min=1)
        phase_bm = torch.remainder(position_m[None, :], period_b1)
        return samples_bn.gather(1, torch.minimum(phase_bm, (period_b1 - phase_bm).clamp(min=0)))

    def _power(self, padded_bm: Tensor) -> Tensor:
        """Power of each frequency in each frame, (B, T, n_fft // 2 + 1)."""
        if self.training:
            frames_btn = padded_bm.unfold(1, self.config.n_fft, self.config.hop_length)
            spectrum_btf = torch.fft.rfft(frames_btn * self.window)
            return spectrum_btf.real.square() + spectrum_btf.imag.square()
        with _in_full_precision(padded_bm.device):
            spectrum_bft = F.conv1d(padded_bm[:, None], self.kernels, stride=self.config.hop_length)
        real_bft, imaginary_bft = spectrum_bft.chunk(2, dim=1)
        return (real_bft.square() + imaginary_bft.square()).transpose(1, 2)

    def _decibels(self, power_btf: Tensor, frames_b: Tensor) -> Tensor:
        decibels_btf = 10 * power_btf.clamp(min=_SMALLEST_POWER).log10()
        if self.config.top_db is None:
            return decibels_btf
        inside_bt1 = (torch.arange(power_btf.shape[1], device=frames_b.device) < frames_b[:, None])[..., None]
        loudest_b = decibels_btf.masked_fill(~inside_bt1, -torch.inf).amax(dim=(1, 2), keepdim=True)
        return torch.maximum(decibels_btf, loudest_b - self.config.top_db)


def _in_full_precision(device: torch.device) -> AbstractContextManager[None]:
    """On a GPU, convolutions of float32 are rounded to ten bits (TF32) unless told otherwise: the noise of that, 60 dB
    below the loudest, would fill the bands that are all but silent."""
    if device.type != "cuda":
        return nullcontext()
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return flags


def _standardised(x_btf: Tensor, inside_bt1: Tensor, frames_b: Tensor) -> Tensor:
    """Each feature with zero mean and unit variance over each utterance's own frames."""
    count_b11 = frames_b[:, None, None]
    centred_btf = x_btf
    # Twice: the first mean is off by the rounding of a long sum, which in a band that hardly changes, such as one
    # above an MP3's upper edge, would be most of its variance. ONNX Runtime's sums round more than torch's.
    for _ in range(2):
        centred_btf = (centred_btf - (centred_btf * inside_bt1).sum(dim=1, keepdim=True) / count_b11) * inside_bt1
    variance_b1f = centred_btf.square().sum(dim=1, keepdim=True) / count_b11
    return centred_btf / (variance_b1f + _LEAST_VARIANCE).sqrt()


class FrontEndStream:
    """The front-end of one recording that arrives in pieces.

    The frames of all calls, joined, are those of :class:`FrontEnd` for the whole recording.

    Args:
        frontend: a module whose features can be streamed.

    Raises:
        ValueError: a frame of these features depends on all others (``top_db``, normalisation by utterance).
    """

    def __init__(self, frontend: FrontEnd) -> None:
        if not frontend.config.streamable:
            raise ValueError(
                "these features cannot be streamed; set top_db to null or log_mels to true, and normalize to corpus"
            )
        self._frontend = frontend
        self._pad = frontend.config.n_fft // 2
        self._buffer_n = torch.zeros(0)
        self._started = False

    def accept(self, samples_n: Tensor) -> Tensor:
        """Features (T, F) of the frames that these samples (N,) complete; T may be 0."""
        self._buffer_n = torch.cat([self._buffer_n, samples_n])
        if not self._started:
            if len(self._buffer_n) <= self._pad:
                return self._none()
            self._buffer_n = torch.cat([self._buffer_n[1 : self._pad + 1].flip(0), self._buffer_n])
            self._started = True
        return self._complete(keep=self._pad + 1)

    def finish(self) -> Tensor:
        """Features (T, F) of the last frames, which see the reflected end."""
        buffer_n = self._buffer_n
        self._buffer_n = torch.zeros(0)
        if not self._started:
            if not len(buffer_n):
                return self._none()
            features_btf, _ = self._frontend(buffer_n[None], torch.tensor([len(buffer_n)]))
            return features_btf[0]
        self._buffer_n = torch.cat([buffer_n, buffer_n[-self._pad - 1 : -1].flip(0)])
        return self._complete(keep=0)

    def _complete(self, keep: int) -> Tensor:
        hop, n_fft = self._frontend.config.hop_length, self._frontend.config.n_fft
        count = max(0, (len(self._buffer_n) - n_fft) // hop + 1)
        if keep:
            count = min(count, max(0, (len(self._buffer_n) - keep) // hop))
        if not count:
            return self._none()
        used_bm = self._buffer_n[None, : (count - 1) * hop + n_fft]
        self._buffer_n = self._buffer_n[count * hop :]
        return self._frontend.transform(used_bm, torch.tensor([count]))[0]

    def _none(self) -> Tensor:
        return torch.zeros(0, self._frontend.config.size)
