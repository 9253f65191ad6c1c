"""Sizes of the architectures, and their names. Needs no torch."""

from math import prod
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Discriminator, Field, Tag, model_validator

from steno.config import Strict
from steno.features.config import FeatureConfig


class ResCnnBiGruConfig(Strict):
    """Sizes of ``rescnn-bigru``: strided stem, residual CNN blocks, linear layer, bidirectional GRUs.

    ``stem_strides`` has one convolution an entry: its stride in time. With ``convolution`` 2d the stem and the
    blocks see images of time and frequency, and each stem convolution halves the frequencies; with 1d the features
    are the first channels. 1d learns more from little computing; it wants several times the channels.
    ``checkpoint_gradients`` trades time for memory.
    """

    architecture: Literal["rescnn-bigru"] = "rescnn-bigru"
    convolution: Literal["2d", "1d"] = "2d"
    channels: int = Field(32, ge=1)
    stem_strides: tuple[int, ...] = Field((2, 2), min_length=1)
    blocks: int = Field(3, ge=0)
    kernel: int = Field(3, ge=1)
    rnn_layers: int = Field(3, ge=1)
    rnn_size: int = Field(256, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    checkpoint_gradients: bool = False

    @property
    def subsampling(self) -> int:
        """Feature frames an output frame."""
        return prod(self.stem_strides)


class LookAhead(NamedTuple):
    """Frames that each convolution of the blocks and each look-ahead convolution above a GRU sees ahead."""

    convolutions: tuple[int, ...]
    rnns: tuple[int, ...]

    @property
    def frames(self) -> int:
        """All of them: how many frames late a stream is."""
        return sum(self.convolutions) + sum(self.rnns)


class ResCnnGruStreamConfig(Strict):
    """Sizes of ``rescnn-gru-stream``: ``rescnn-bigru`` over time alone, made causal with a bounded look-ahead.

    Nothing after ``lookahead_ms`` changes a frame; half a window of the front-end comes on top. The stem sees the
    feature frames of its own output frame. Of what is left, in whole output frames, the convolutions of the blocks
    see half ahead, at most half a kernel each, and the look-ahead convolutions above the GRUs the rest.
    ``checkpoint_gradients`` trades time for memory.
    """

    architecture: Literal["rescnn-gru-stream"] = "rescnn-gru-stream"
    lookahead_ms: float = Field(320.0, ge=80, le=640)
    channels: int = Field(256, ge=1)
    stem_strides: tuple[Annotated[int, Field(ge=1)], ...] = Field((2, 2), min_length=1)
    blocks: int = Field(3, ge=0)
    kernel: int = Field(5, ge=2)
    rnn_layers: int = Field(3, ge=1)
    rnn_size: int = Field(384, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    checkpoint_gradients: bool = False

    @property
    def subsampling(self) -> int:
        """Feature frames an output frame."""
        return prod(self.stem_strides)

    @property
    def streamable(self) -> bool:
        """Always."""
        return True

    @property
    def step_frames(self) -> int:
        """Output frames that a step of a stream has, or a multiple of them."""
        return 1

    def delay(self, seconds_per_frame: float) -> int:
        """Output frames by which a stream's frames are late."""
        return self.plan(seconds_per_frame).frames

    def plan(self, seconds_per_frame: float) -> LookAhead:
        """Where the model looks ahead, given the distance of two feature frames.

        Raises:
            ValueError: one output frame alone spans more than the look-ahead.
        """
        budget = int(self.lookahead_ms / 1000 / seconds_per_frame + 1e-6)
        frames = (budget - (self.subsampling - 1)) // self.subsampling
        if frames < 0:
            raise ValueError(
                f"model.lookahead_ms {self.lookahead_ms:g} is shorter than an output frame, "
                f"{1000 * seconds_per_frame * self.subsampling:g} ms"
            )
        convolutions = 2 * self.blocks
        below = min(frames // 2, convolutions * ((self.kernel - 1) // 2))
        return LookAhead(_spread(below, convolutions), _spread(frames - below, self.rnn_layers))

    def check(self, features: FeatureConfig) -> None:
        """That a stream can have these features.

        Raises:
            ValueError: it cannot, or the look-ahead is too short for them.
        """
        _check_streamable(self.architecture, features)
        self.plan(features.seconds_per_frame)

    def lookahead_seconds(self, seconds_per_frame: float) -> float:
        """What the model really sees ahead, at most ``lookahead_ms``; without the front-end's half window."""
        frames = self.subsampling * (self.plan(seconds_per_frame).frames + 1) - 1
        return frames * seconds_per_frame


def _check_streamable(architecture: str, features: FeatureConfig) -> None:
    if not features.streamable:
        raise ValueError(
            f"{architecture} hears a stream, and a frame of these features depends on the whole utterance; "
            "set features.normalize to corpus, and for mfcc features.log_mels to true or features.top_db to null"
        )


def _spread(total: int, places: int) -> tuple[int, ...]:
    """A number of frames over layers as evenly as it goes, the last ones getting what is left over."""
    return tuple((total * (i + 1)) // places - (total * i) // places for i in range(places))


class ConformerConfig(Strict):
    """Sizes of ``conformer``: 2-D convolutional subsampling, conformer blocks, classifier.

    ``size`` is the width of the blocks, ``feed_forward`` how many times wider their feed-forward layers are inside,
    ``kernel`` the width of their depthwise convolution in frames. ``layer_drop`` is the chance that the last
    block is skipped in a training step (stochastic depth); earlier blocks are skipped more rarely, in proportion.
    From the first to the last block of ``squeeze`` frames are twice as long, which saves half of their time (Kim et
    al., "Squeezeformer", NeurIPS 2022). ``intermediate`` names the blocks (from 1) after which a further CTC loss
    can be taken. ``checkpoint_gradients`` trades time for memory.

    With ``chunk_frames`` attention is cut into chunks of so many output frames: a frame hears its own chunk and the
    ``left_chunks`` before it, or all before it (Zhang et al., "Unified Streaming and Non-streaming Two-pass
    End-to-end Model for Speech Recognition", 2020). With ``causal`` the depthwise convolutions see no later frame.
    With both the model needs no more than its own chunk to come, and with ``left_chunks`` it keeps no more than those
    of what was: then it hears streams, in steps of a chunk.
    """

    architecture: Literal["conformer"] = "conformer"
    size: int = Field(192, ge=8)
    layers: int = Field(10, ge=1)
    heads: int = Field(3, ge=1)
    feed_forward: int = Field(4, ge=1)
    kernel: int = Field(15, ge=3)
    stem_channels: int = Field(64, ge=1)
    stem_strides: tuple[int, ...] = Field((2, 2), min_length=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    layer_drop: float = Field(0.0, ge=0, lt=1)
    squeeze: tuple[int, int] | None = None
    intermediate: tuple[int, ...] = ()
    checkpoint_gradients: bool = False
    chunk_frames: int | None = Field(None, ge=1)
    left_chunks: int | None = Field(None, ge=0)
    causal: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.size % (2 * self.heads):
            raise ValueError(f"size {self.size} is not a multiple of twice the heads, {2 * self.heads}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is even; an odd one has a middle")
        if self.squeeze and not 1 <= self.squeeze[0] <= self.squeeze[1] <= self.layers:
            raise ValueError(
                f"squeeze {list(self.squeeze)}: its first and last block are of the {self.layers}, in order"
            )
        if any(not 1 <= layer < self.layers for layer in self.intermediate):
            raise ValueError(f"intermediate {list(self.intermediate)}: each is a block from 1 to {self.layers - 1}")
        if self.left_chunks is not None and self.chunk_frames is None:
            raise ValueError("left_chunks counts chunks, and chunk_frames is absent")
        if self.squeeze and self.chunk_frames and self.chunk_frames % 2:
            raise ValueError(f"chunk_frames {self.chunk_frames} is odd, and squeeze joins two frames to one")
        return self

    @property
    def subsampling(self) -> int:
        """Feature frames an output frame."""
        return prod(self.stem_strides)

    @property
    def streamable(self) -> bool:
        """Whether frames need no more than a bounded time, to come and gone, so that a stream can carry its state."""
        bounded = self.chunk_frames is not None and self.left_chunks is not None and self.causal
        return bounded and min(self.stem_strides) > 1  # one of 1 looks beyond its own frame

    @property
    def step_frames(self) -> int:
        """Output frames that a step of a stream has, or a multiple of them."""
        return self.chunk_frames or 1

    def delay(self, seconds_per_frame: float) -> int:
        """Output frames by which a stream's frames are late: none, a step has all that they see."""
        return 0

    def check(self, features: FeatureConfig) -> None:
        """That a stream can have these features, if this is a model for streams.

        Raises:
            ValueError: it cannot.
        """
        if self.streamable:
            _check_streamable(self.architecture, features)

    def lookahead_seconds(self, seconds_per_frame: float) -> float:
        """How far the first frame of a chunk sees ahead, without the front-end's half window.

        Args:
            seconds_per_frame: distance of two feature frames.

        Raises:
            ValueError: there is no bound, because these sizes need the whole utterance.
        """
        if self.chunk_frames is None or not self.causal:
            raise ValueError("without chunk_frames and causal, a conformer needs the whole utterance")
        stem = sum(prod(self.stem_strides[:i]) for i in range(len(self.stem_strides)))
        return (self.subsampling * (self.chunk_frames - 1) + stem) * seconds_per_frame


class TimeConvolutionConfig(Strict):
    """What ``jasper`` and ``quartznet`` share: blocks of convolutions over time, with residual connections.

    ``channels``, ``kernels`` and ``dropouts`` have an entry for each kind of block; ``each`` blocks of a kind follow
    each other, and each block has ``units`` convolutions. Before them comes a strided convolution for each of
    ``stem_strides``; after them one of ``last_kernel``, dilated twofold, and one of width 1, with ``last_channels``.
    ``norm`` is batch, as in the papers: then utterances of a training batch see each other; or layer.

    These families need several seconds around a frame and cannot stream.
    """

    stem_channels: int = Field(256, ge=1)
    stem_kernel: int = Field(11, ge=1)
    stem_strides: tuple[Annotated[int, Field(ge=1)], ...] = Field((2,), min_length=1)
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field((256, 384, 512, 640, 768), min_length=1)
    kernels: tuple[Annotated[int, Field(ge=1)], ...] = Field((11, 13, 17, 21, 25), min_length=1)
    dropouts: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field((0.2, 0.2, 0.2, 0.3, 0.3), min_length=1)
    each: int = Field(2, ge=1)
    units: int = Field(5, ge=1)
    last_channels: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (896, 1024)
    last_kernel: int = Field(29, ge=1)
    last_dropout: float = Field(0.4, ge=0, lt=1)
    norm: Literal["batch", "layer"] = "batch"
    checkpoint_gradients: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not len(self.channels) == len(self.kernels) == len(self.dropouts):
            raise ValueError(
                "channels, kernels and dropouts have an entry for each kind of block, and differ in number"
            )
        even = [kernel for kernel in (self.stem_kernel, *self.kernels, self.last_kernel) if kernel % 2 == 0]
        if even:
            raise ValueError(f"kernel {even[0]} is even; an odd one has a middle")
        return self

    @property
    def subsampling(self) -> int:
        """Feature frames an output frame."""
        return prod(self.stem_strides)


class JasperConfig(TimeConvolutionConfig):
    """Sizes of ``jasper``; the defaults are Jasper 10x5 dense residual, 333 million parameters."""

    architecture: Literal["jasper"] = "jasper"


class QuartzNetConfig(TimeConvolutionConfig):
    """Sizes of ``quartznet``; the defaults are QuartzNet 5x5, and ``each`` 2 and 3 are 10x5 and 15x5."""

    architecture: Literal["quartznet"] = "quartznet"
    stem_kernel: int = Field(33, ge=1)
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field((256, 256, 512, 512, 512), min_length=1)
    kernels: tuple[Annotated[int, Field(ge=1)], ...] = Field((33, 39, 51, 63, 75), min_length=1)
    dropouts: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field((0.0, 0.0, 0.0, 0.0, 0.0), min_length=1)
    each: int = Field(1, ge=1)
    last_channels: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (512, 1024)
    last_kernel: int = Field(87, ge=1)
    last_dropout: float = Field(0.0, ge=0, lt=1)


class Wav2Vec2Sizes(Strict):
    """Sizes of a wav2vec 2.0 checkpoint, as its ``config.json`` names them; the defaults are those of BASE."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-5
    feat_extract_norm: Literal["group", "layer"] = "group"
    feat_extract_activation: str = "gelu"
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_bias: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    do_stable_layer_norm: bool = False


class Wav2Vec2Config(Strict):
    """``wav2vec2``: a checkpoint to start from, and how it is fine-tuned.

    ``checkpoint`` is a folder, or a name on the Hugging Face hub. Its convolutions stay as they are; the learning
    rate of each layer below the classifier is ``layer_decay`` times that of the one above. ``layer_drop`` is the
    chance that a layer is skipped in a training step. ``sizes`` are read from the checkpoint when training starts,
    so that a model folder does not need the checkpoint. This family cannot stream.
    """

    architecture: Literal["wav2vec2"] = "wav2vec2"
    checkpoint: str = Field(min_length=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    layer_drop: float = Field(0.05, ge=0, lt=1)
    layer_decay: float = Field(0.9, gt=0, le=1)
    checkpoint_gradients: bool = False
    sizes: Wav2Vec2Sizes | None = None

    @property
    def subsampling(self) -> int:
        """Samples an output frame."""
        return prod((self.sizes or Wav2Vec2Sizes()).conv_stride)


StreamingConfig = ResCnnGruStreamConfig | ConformerConfig
"""Sizes of a family that can hear streams, carrying its state from step to step."""


def streaming(config: "ModelConfig") -> StreamingConfig | None:
    """The same, if it is of a model that hears streams so."""
    return config if isinstance(config, StreamingConfig) and config.streamable else None


def _architecture(value: Any) -> str:
    """The tag of a configuration; what names none is the first family."""
    named = value.get("architecture") if isinstance(value, dict) else getattr(value, "architecture", None)
    return named if isinstance(named, str) else "rescnn-bigru"


ModelConfig = Annotated[
    Annotated[ResCnnBiGruConfig, Tag("rescnn-bigru")]
    | Annotated[ResCnnGruStreamConfig, Tag("rescnn-gru-stream")]
    | Annotated[ConformerConfig, Tag("conformer")]
    | Annotated[JasperConfig, Tag("jasper")]
    | Annotated[QuartzNetConfig, Tag("quartznet")]
    | Annotated[Wav2Vec2Config, Tag("wav2vec2")],
    Discriminator(_architecture),
]
"""Any architecture's sizes; ``architecture`` says which."""
