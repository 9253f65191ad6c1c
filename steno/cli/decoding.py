"""Options of decoding, which several commands share."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from steno.decoding.options import DecodingOptions

Method = Annotated[
    Literal["greedy", "beam"] | None,
    typer.Option("--decoder", help="How emissions become text; as the model folder says by default."),
]
Lm = Annotated[
    str | None, typer.Option("--lm", help="A language model that `steno lm build` wrote; none: without the model's.")
]
LmWeight = Annotated[float | None, typer.Option("--lm-weight", help="Factor of the language model's log-probability.")]
WordScore = Annotated[float | None, typer.Option("--word-score", help="What each word adds to a reading's score.")]
PriorWeight = Annotated[
    float | None,
    typer.Option("--prior-weight", help="Share of each label's own frequency that is taken off its log-probability."),
]
PhonemeShare = Annotated[
    float | None,
    typer.Option("--phoneme-share", min=0, max=1, help="Share of a reading's acoustic score that its phonemes give."),
]
NeuralWeight = Annotated[
    float | None,
    typer.Option("--neural-weight", min=0, help="Factor of the neural language model's log-probability; 0: without."),
]
Beam = Annotated[int | None, typer.Option("--beam", min=1, help="Readings kept after each frame.")]
Hotwords = Annotated[
    list[str] | None,
    typer.Option("--hotwords", help="A phrase to prefer, phrase:boost, or @FILE with one a line; may be repeated."),
]
Nbest = Annotated[int, typer.Option("--nbest", min=1, help="So many readings of each recording (json).")]


def options(
    method: Literal["greedy", "beam"] | None = None,
    lm: str | None = None,
    lm_weight: float | None = None,
    word_score: float | None = None,
    prior_weight: float | None = None,
    phoneme_share: float | None = None,
    neural_weight: float | None = None,
    beam: int | None = None,
    hotwords: list[str] | None = None,
    nbest: int = 1,
) -> "DecodingOptions":
    """The options as one value."""
    from steno.decoding.options import DecodingOptions

    return DecodingOptions(
        method,
        lm,
        lm_weight,
        word_score,
        prior_weight,
        phoneme_share,
        neural_weight,
        beam,
        tuple(hotwords or ()),
        nbest,
    )
