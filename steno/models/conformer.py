"""``conformer``: convolutional subsampling, then blocks of self-attention and convolution.

Source: Gulati et al., "Conformer: Convolution-augmented Transformer for Speech Recognition", Interspeech 2020.
Positions are relative by rotation (Su et al., "RoFormer", 2021), and each block normalises by layer, so that neither
padding nor other utterances of a batch change anything.

With ``chunk_frames``, ``left_chunks`` and ``causal`` it hears streams, in steps of one chunk or more. What a stream
keeps are the last frames that its convolutions need, and keys and values of the chunks before (Zhang et al., "Unified
Streaming and Non-streaming Two-pass End-to-end Model for Speech Recognition", 2020). Keys are kept as they were
before they turn, so that positions count from the oldest one that is kept.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steno.models.config import ConformerConfig
from steno.models.layers import Dropout, as_image, depthwise, inside_mask, recomputed, strided
from steno.models.stepping import Clock, Memory
from steno.phonemes import PhonemeConfig


class Place(NamedTuple):
    """Where the frames of a batch lie.

    Args:
        inside_bt: which are no padding, (B, T).
        heard: which of L earlier frames and of these each frame may attend to, (B, 1, 1, L + T) or (B, 1, T, L + T).
        turns: cosines and sines of the angles by which queries and keys turn, (L + T, head size) each.
        before: L, which is 0 but in a step of a stream.
    """

    inside_bt: Tensor
    heard: Tensor
    turns: tuple[Tensor, Tensor]
    before: int = 0


class Conformer(nn.Module):
    """Features to CTC logits: V of letters or pieces and, with ``phonemes``, those of the phonemes after them.

    While it is trained with ``phonemes.frames``, those of the phonemes' states in each of the feature frames that an
    output frame is made of come last.
    """

    delay = 0
    """Frames by which a stream is late."""

    def __init__(
        self, features: int, labels: int, config: ConformerConfig, phonemes: PhonemeConfig | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self._phoneme_block = phonemes.block if phonemes else 0
        self.stem = _Subsampling(features, config)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.size)
        self.classifier = nn.Linear(config.size, labels)
        self.dropout = Dropout(config.dropout)
        self.phonemes = _Phonemes(config, phonemes) if phonemes else None

    def frames(self, frames_b: Tensor) -> Tensor:
        """Output frames of utterances of so many feature frames."""
        for stride in self.config.stem_strides:
            frames_b = strided(frames_b, stride)
        return frames_b

    def forward(
        self, features_btf: Tensor, frames_b: Tensor, taps: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) and their frames (B,) → logits (B, T', V) and their frames (B,).

        The logits of the intermediate blocks are appended to ``taps``.
        """
        x_btd, frames_b = self.stem(features_btf, frames_b)

        def place(x_btd: Tensor, longer: int) -> Place:
            inside_bt = inside_mask(strided(frames_b, longer), x_btd.shape[1])
            return self._place(inside_bt, inside_bt, longer)

        return self._through(self.dropout(x_btd), place, self._run, taps), frames_b

    def step(self, features_btf: Tensor, clock: Clock, memory: Memory) -> Tensor:
        """The next features (B, T, F) of whole chunks → logits (B, T', V), those of :meth:`forward`.

        Only for sizes that are ``streamable``.
        """
        config = self.config
        assert config.chunk_frames is not None
        assert config.left_chunks is not None
        kept = config.left_chunks * config.chunk_frames

        def place(x_btd: Tensor, longer: int) -> Place:
            time, before, stride = x_btd.shape[1], kept // longer, config.subsampling * longer
            heard_bt = clock.inside(before + time, before, stride)
            return self._place(clock.inside(time, stride=stride), heard_bt, longer, before)

        def run(block: nn.Module, number: int, x_btd: Tensor, place: Place) -> Tensor:
            out_btd: Tensor = block(x_btd, place, memory)
            return out_btd

        return self._through(self.stem.step(features_btf, clock, memory), place, run)

    def to_stream(self) -> "Conformer":
        """What :meth:`step` can be called on: itself."""
        return self

    def _through(
        self,
        x_btd: Tensor,
        place_of: Callable[[Tensor, int], Place],
        run: Callable[[nn.Module, int, Tensor, Place], Tensor],
        taps: list[Tensor] | None = None,
    ) -> Tensor:
        """Through the blocks to the logits.

        Args:
            x_btd: what the stem gave.
            place_of: places of such frames, so many times longer than the model's own.
            run: a block, with its number.
            taps: get the logits of the intermediate blocks.
        """
        whole_btd, place, phonemes_btp = x_btd, place_of(x_btd, 1), None
        first, last = self.config.squeeze or (0, 0)
        for number, block in enumerate(self.blocks, start=1):
            if number == first:
                whole_btd, x_btd = x_btd, _halved(x_btd, place.inside_bt)
                place = place_of(x_btd, 2)
            x_btd = run(block, number, x_btd, place)
            if number == last:
                x_btd = whole_btd + _doubled(x_btd, whole_btd)
                place = place_of(x_btd, 1)
            if self.phonemes is not None and number == self._phoneme_block:
                x_btd, phonemes_btp = self.phonemes(x_btd)
            if taps is not None and number in self.config.intermediate:
                inner = first <= number < last
                taps.append(self.classifier(self.norm(_doubled(x_btd, whole_btd) if inner else x_btd)))
        logits_btv: Tensor = self.classifier(self.norm(x_btd))
        return logits_btv if phonemes_btp is None else torch.cat([logits_btv, phonemes_btp], dim=-1)

    def _place(self, inside_bt: Tensor, heard_bt: Tensor, longer: int, before: int = 0) -> Place:
        """Of frames (B, T) that are so many times ``longer`` than the model's own.

        ``heard_bt`` (B, L + T) says the same of these and of the L ``before`` them.
        """
        config, time = self.config, heard_bt.shape[1]
        heard = heard_bt[:, None, None, :]
        if config.chunk_frames is not None:
            heard = heard & _chunks(time, config.chunk_frames // longer, config.left_chunks, heard.device)[before:]
            heard = heard | _oneself(time, heard.device)[before:]
        turns = _rotations(time, config.size // config.heads, heard.device)
        return Place(inside_bt, heard, turns, before)

    def _run(self, block: nn.Module, number: int, x_btd: Tensor, place: Place) -> Tensor:
        if self._skipped(number):
            return x_btd
        return recomputed(block, x_btd, place, when=self.config.checkpoint_gradients)

    def _skipped(self, number: int) -> bool:
        """Stochastic depth. Source: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016."""
        chance = self.config.layer_drop * number / self.config.layers
        return self.training and chance > 0 and float(torch.rand(())) < chance


class _Phonemes(nn.Module):
    """Logits of P phonemes from the frames of a block; they are added to what the next block gets."""

    def __init__(self, config: ConformerConfig, phonemes: PhonemeConfig) -> None:
        super().__init__()
        size, labels = config.size, phonemes.labels
        self.norm = nn.LayerNorm(size)
        self.classifier = nn.Linear(size, labels)
        self.states = nn.Linear(size, config.subsampling * phonemes.states) if phonemes.frames else None
        self.heard = nn.Linear(labels, size)
        for parameter in self.heard.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x_btd: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, T, D) → the same with what was heard added, and the logits (B, T, P).

        While it is trained, those of states come after them.
        """
        normed_btd = self.norm(x_btd)
        logits_btp = self.classifier(normed_btd)
        x_btd = x_btd + self.heard(logits_btp.softmax(dim=-1))
        if self.states is not None and self.training:
            logits_btp = torch.cat([logits_btp, self.states(normed_btd)], dim=-1)
        return x_btd, logits_btp


class _Subsampling(nn.Module):
    """Strided 2-D convolutions over time and frequency, then a linear layer: (B, T, F) → (B, T', D)."""

    def __init__(self, features: int, config: ConformerConfig) -> None:
        super().__init__()
        self._strides = config.stem_strides
        channels = config.stem_channels
        self.convs = nn.ModuleList(
            nn.Conv2d(1 if i == 0 else channels, channels, 3, stride=(stride, 2), padding=1)
            for i, stride in enumerate(self._strides)
        )
        for _ in self._strides:
            features = (features + 1) // 2
        self.linear = nn.Linear(channels * features, config.size)

    def forward(self, features_btf: Tensor, frames_b: Tensor) -> tuple[Tensor, Tensor]:
        x_bctf = as_image(features_btf)
        for conv, stride in zip(self.convs, self._strides, strict=True):
            frames_b = strided(frames_b, stride)
            x_bctf = F.silu(conv(x_bctf))
            x_bctf = x_bctf * inside_mask(frames_b, x_bctf.shape[2])[:, None, :, None]
        return self._flattened(x_bctf), frames_b

    def step(self, features_btf: Tensor, clock: Clock, memory: Memory) -> Tensor:
        """The same of the next features of a stream; each convolution keeps the one frame that it sees again."""
        x_bctf, passed = features_btf[:, None], 1
        for conv, stride in zip(self.convs, self._strides, strict=True):
            passed *= stride
            channels, size = x_bctf.shape[1], x_bctf.shape[3]
            last_bc1f = memory.take(channels * size, 1).reshape(-1, channels, 1, size)
            memory.keep(x_bctf[:, :, -1:])
            assert isinstance(conv, nn.Conv2d)
            x_bctf = torch.cat([last_bc1f, x_bctf], dim=2)
            x_bctf = F.silu(F.conv2d(x_bctf, conv.weight, conv.bias, conv.stride, padding=(0, 1)))
            x_bctf = x_bctf * clock.inside(x_bctf.shape[2], stride=passed)[:, None, :, None]
        return self._flattened(x_bctf)

    def _flattened(self, x_bctf: Tensor) -> Tensor:
        """Channels and frequencies of each frame through the linear layer: (B, C, T, F) → (B, T, D)."""
        if x_bctf.stride(1) != 1:
            out_btd: Tensor = self.linear(x_bctf.transpose(1, 2).flatten(2))
            return out_btd
        # A frame's channels lie together already: the few weights are put in that order, and not all frames in theirs.
        weight_dk = self.linear.weight.unflatten(1, (x_bctf.shape[1], -1)).transpose(1, 2).flatten(1)
        return F.linear(x_bctf.permute(0, 2, 3, 1).flatten(2), weight_dk, self.linear.bias)


class _Block(nn.Module):
    """Half a feed-forward layer, self-attention, convolution, the other half; each adds to its input."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.first = _FeedForward(config)
        self.attention = _Attention(config)
        self.convolution = _Convolution(config)
        self.second = _FeedForward(config)
        self.norm = nn.LayerNorm(config.size)
        self.dropout = Dropout(config.dropout)

    def forward(self, x_btd: Tensor, place: Place, memory: Memory | None = None) -> Tensor:
        x_btd = x_btd + 0.5 * self.dropout(self.first(x_btd))
        x_btd = x_btd + self.dropout(self.attention(x_btd, place, memory))
        x_btd = x_btd + self.dropout(self.convolution(x_btd, place.inside_bt, memory))
        x_btd = x_btd + 0.5 * self.dropout(self.second(x_btd))
        normalised: Tensor = self.norm(x_btd)
        return normalised


class _FeedForward(nn.Sequential):
    def __init__(self, config: ConformerConfig) -> None:
        inner = config.feed_forward * config.size
        super().__init__(
            nn.LayerNorm(config.size),
            nn.Linear(config.size, inner),
            nn.SiLU(),
            nn.Linear(inner, config.size),
        )


class _Attention(nn.Module):
    """Multi-head self-attention with rotary positions; no frame attends to padding."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self._heads = config.heads
        self.norm = nn.LayerNorm(config.size)
        self.queries_keys_values = nn.Linear(config.size, 3 * config.size)
        self.out = nn.Linear(config.size, config.size)

    def forward(self, x_btd: Tensor, place: Place, memory: Memory | None = None) -> Tensor:
        batch, time, size = x_btd.shape
        heads = (self._heads, size // self._heads)
        cos_td, sin_td = place.turns
        qkv_btd = self.queries_keys_values(self.norm(x_btd))
        if memory is None or not place.before:
            qkv_bt3hd = qkv_btd.view(batch, time, 3, *heads)
            turned_bt2hd = _turned(qkv_bt3hd[:, :, :2], cos_td[:, None], sin_td[:, None])
            query_bthd, key_bthd, value_bthd = turned_bt2hd[:, :, 0], turned_bt2hd[:, :, 1], qkv_bt3hd[:, :, 2]
        else:
            query_btd, kv_btd = qkv_btd.split([size, 2 * size], dim=2)
            kv_btd = torch.cat([memory.take(2 * size, place.before).transpose(1, 2), kv_btd], dim=1)
            memory.keep(kv_btd[:, -place.before :].transpose(1, 2))
            kv_bt2hd = kv_btd.view(batch, kv_btd.shape[1], 2, *heads)
            query_bthd = query_btd.view(batch, time, *heads)
            query_bthd = _turned(query_bthd, cos_td[place.before :], sin_td[place.before :])
            key_bthd, value_bthd = _turned(kv_bt2hd[:, :, 0], cos_td, sin_td), kv_bt2hd[:, :, 1]
        heard_bhtd = _attended(
            query_bthd.transpose(1, 2), key_bthd.transpose(1, 2), value_bthd.transpose(1, 2), place.heard
        )
        out: Tensor = self.out(heard_bhtd.transpose(1, 2).reshape(batch, time, size))
        return out


def _attended(query_bhtd: Tensor, key_bhtd: Tensor, value_bhtd: Tensor, heard: Tensor) -> Tensor:
    """What each query gathers of the values that it may hear, (B, H, T, D)."""
    slow = query_bhtd.dtype == torch.bfloat16 and query_bhtd.device.type == "cpu"
    if not slow and not torch.onnx.is_in_onnx_export():
        return F.scaled_dot_product_attention(query_bhtd, key_bhtd, value_bhtd, attn_mask=heard)
    # torch's own takes about twice as long in bf16 on a CPU (2.13), forwards and back; exported, it looks through all
    # scores for queries that hear nothing, of which there are none.
    scores_bhtt = query_bhtd * query_bhtd.shape[-1] ** -0.5 @ key_bhtd.transpose(-1, -2)
    unheard = torch.zeros_like(heard, dtype=scores_bhtt.dtype).masked_fill(~heard, -torch.inf)
    return (scores_bhtt + unheard).softmax(dim=-1) @ value_bhtd


class _Convolution(nn.Module):
    """Pointwise with a gate, depthwise over time, normalise, SiLU, pointwise."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        size = config.size
        self.norm = nn.LayerNorm(size)
        self.gated = nn.Linear(size, 2 * size)
        # A causal one sees its own frame and those before it: as many as the kernel has to the left.
        self._before = config.kernel - 1 if config.causal else 0
        self.depthwise = nn.Conv1d(size, size, config.kernel, padding=0 if config.causal else "same", groups=size)
        self.depth_norm = nn.LayerNorm(size)
        self.out = nn.Linear(size, size)

    def forward(self, x_btd: Tensor, inside_bt: Tensor, memory: Memory | None = None) -> Tensor:
        x_btd = F.glu(self.gated(self.norm(x_btd)), dim=-1) * inside_bt[..., None]
        x_bdt = x_btd.transpose(1, 2)
        if memory is not None:
            x_bdt = torch.cat([memory.take(self.depthwise.in_channels, self._before), x_bdt], dim=2)
            memory.keep(x_bdt[:, :, -self._before :])
        elif self._before:
            x_bdt = F.pad(x_bdt, (self._before, 0))
        x_btd = depthwise(self.depthwise, x_bdt).transpose(1, 2)
        out: Tensor = self.out(F.silu(self.depth_norm(x_btd)))
        return out


def causal_kernels(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a conformer whose convolutions see both sides, for one with ``causal``.

    Each depthwise kernel (D, 1, K) keeps its middle and what is before it, which become the last taps of the causal
    one; nothing is heard of later frames, and earlier ones come in by training.
    """
    changed = dict(weights)
    for name in (name for name in weights if name.endswith("convolution.depthwise.weight")):
        kernel_d1k = weights[name]
        past = kernel_d1k.shape[2] // 2
        changed[name] = F.pad(kernel_d1k[:, :, : past + 1], (past, 0))
    return changed


def _halved(x_btd: Tensor, inside_bt: Tensor) -> Tensor:
    """The mean of each two frames, padding left out: (B, T, D) → (B, ⌈T / 2⌉, D)."""
    x_btd = x_btd * inside_bt[..., None]
    count_bt = inside_bt.to(x_btd.dtype)
    sums_btd = x_btd[:, ::2] + F.pad(x_btd, (0, 0, 0, 1))[:, 1::2]
    counts_bt = count_bt[:, ::2] + F.pad(count_bt, (0, 1))[:, 1::2]
    return sums_btd / counts_bt.clamp(min=1)[..., None]


def _doubled(x_btd: Tensor, like_btd: Tensor) -> Tensor:
    """Each frame twice, as many as ``like_btd`` has."""
    return x_btd[:, :, None].expand(-1, -1, 2, -1).flatten(1, 2)[:, : like_btd.shape[1]]


def _chunks(time: int, chunk: int, left: int | None, device: torch.device) -> Tensor:
    """Whether a frame (row) hears another one (column): of its own chunk, or of the ``left`` before it."""
    chunk_t = torch.div(torch.arange(time, device=device), chunk, rounding_mode="floor")
    back_tt = chunk_t[:, None] - chunk_t
    heard_tt = back_tt >= 0
    return heard_tt if left is None else heard_tt & (back_tt <= left)


def _oneself(time: int, device: torch.device) -> Tensor:
    """Each frame (row) hears itself (column): one of padding must hear something, or its softmax is not a number."""
    position_t = torch.arange(time, device=device)
    return position_t[:, None] == position_t


def _rotations(time: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines (time, size) of the angles by which a head of ``size`` turns at each position.

    The sines of the first half are negative, as :func:`_turned` needs them.
    """
    frequency_d = 10_000.0 ** (-torch.arange(0, size, 2, device=device) / size)
    angle_td = torch.arange(time, device=device)[:, None] * frequency_d
    cos_td, sin_td = angle_td.cos(), angle_td.sin()
    return torch.cat([cos_td, cos_td], dim=1), torch.cat([-sin_td, sin_td], dim=1)


def _turned(x: Tensor, cos_td: Tensor, sin_td: Tensor) -> Tensor:
    """Heads (B, T, …, H, D) turned by angles (T, …, D), a feature of the first half with one of the second."""
    cos_td, sin_td = cos_td[..., None, :].to(x.dtype), sin_td[..., None, :].to(x.dtype)
    half = x.shape[-1] // 2
    return x * cos_td + torch.cat([x[..., half:], x[..., :half]], dim=-1) * sin_td
