"""Options of decoding, which several commands share."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from steno.decoding.options import DecodingOptions

_ASKED = "asked"


def takes_options(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of decoding, but those that are ``left_out``.

    They stand where the command has its parameter ``asked``, which gets them as one value.
    """
    offered = [one for name, one in inspect.signature(_options).parameters.items() if name not in left_out]

    def give(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        shown = [
            one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for own in signature.parameters.values()
            for one in (offered if own.name == _ASKED else [own])
        ]

        @wraps(command)
        def called(**arguments: Any) -> None:
            asked = _options(**{one.name: arguments.pop(one.name, one.default) for one in offered})
            command(**arguments, **{_ASKED: asked})

        called.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
        called.__annotations__ = {one.name: one.annotation for one in shown}
        return called

    return give


def _options(
    decoder: Annotated[
        Literal["greedy", "beam"] | None,
        typer.Option(help="How emissions become text; as the model folder says by default."),
    ] = None,
    lm: Annotated[
        str | None, typer.Option(help="A language model that `steno lm build` wrote; none: without the model's.")
    ] = None,
    lm_weight: Annotated[float | None, typer.Option(help="Factor of the language model's log-probability.")] = None,
    word_score: Annotated[float | None, typer.Option(help="What each word adds to a hypothesis's score.")] = None,
    prior_weight: Annotated[
        float | None,
        typer.Option(help="Share of each label's own frequency that is taken off its log-probability."),
    ] = None,
    phoneme_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of a hypothesis's acoustic score that its phonemes give."),
    ] = None,
    neural_weight: Annotated[
        float | None,
        typer.Option(min=0, help="Factor of the neural language model's log-probability; 0: without."),
    ] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Hypotheses kept after each frame.")] = None,
    hotwords: Annotated[
        list[str] | None,
        typer.Option(help="A phrase to prefer, phrase:boost, or @FILE with one a line; may be repeated."),
    ] = None,
    nbest: Annotated[int, typer.Option(min=1, help="So many hypotheses of each recording (json).")] = 1,
) -> "DecodingOptions":
    from steno.decoding.options import DecodingOptions

    return DecodingOptions(
        method=decoder,
        lm=lm,
        lm_weight=lm_weight,
        word_score=word_score,
        prior_weight=prior_weight,
        phoneme_share=phoneme_share,
        neural_weight=neural_weight,
        beam=beam,
        hotwords=tuple(hotwords or ()),
        nbest=nbest,
    )
