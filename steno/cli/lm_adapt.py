"""`steno lm adapt`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from steno.training.adaptation import Adapted

_SHOWN = 8
"""Words of a list that are named."""


def adapt(
    texts: Annotated[
        list[Path],
        typer.Argument(
            metavar="TEXT...", help="Text of your field, .gz or .xz, a sentence a line in order of reading."
        ),
    ],
    to: Annotated[Path, typer.Option(help="The new model folder.")],
    model: Annotated[
        str, typer.Option(help="A model folder or a reference, with a language model of words.")
    ] = "small-en",
    share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Of the text's own n-grams; by default what fits each tenth sentence best."),
    ] = None,
    epochs: Annotated[
        float, typer.Option(min=0, help="Passes of the neural language model through the text; 0 leaves it as it is.")
    ] = 6.0,
    lr: Annotated[float, typer.Option(help="Its peak learning rate.")] = 0.0003,
    lexicon: Annotated[
        Path | None,
        typer.Option(
            help="What words of your own sound like: WORD, a tab and phonemes a line; espeak-ng says the rest."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order of the text.")] = 1,
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Teach a model the words and phrases of a text, without recordings."""
    import time

    from rich.console import Console

    from steno.cli.progress import progress_bar
    from steno.cli.target import refuse_existing
    from steno.errors import ModelError
    from steno.phonemes import read_lexicon
    from steno.runtime.folder import read_config
    from steno.tracking.registry import resolve
    from steno.training.adaptation import AdaptationPlan
    from steno.training.adaptation import adapt as adapt_folder

    refuse_existing(to)
    folder = resolve(model, uri)
    sounds = {}
    if lexicon is not None:
        phonemes = read_config(folder).phonemes
        if phonemes is None:
            raise ModelError(f"{lexicon}: nothing to pronounce", "A lexicon needs a model with phonemes.")
        sounds = read_lexicon(lexicon, phonemes.symbols)
    started = time.monotonic()
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("", total=1.0)
        adapted = adapt_folder(
            folder,
            texts,
            to,
            AdaptationPlan(share, epochs, lr, seed),
            lexicon=sounds,
            progress=lambda what, part: bar.update(task, description=what, completed=part),
        )
    _tell(adapted, epochs)
    typer.echo(f"time        {time.monotonic() - started:.0f} s")
    typer.echo(f"kept in     {to}")
    typer.echo(f"next: steno evaluate --model {to} --data MANIFEST   (and compare with {model})")


def _tell(adapted: "Adapted", epochs: float) -> None:
    typer.echo(f"text        {adapted.sentences:,} sentences, {adapted.words:,} words")
    typer.echo(f"new words   {_listed(adapted.new_words)}")
    if adapted.unspellable:
        typer.echo(f"left out    the model cannot spell {_listed(adapted.unspellable)}; write them as they are said")
    if adapted.unpronounced:
        typer.echo(
            f"no sound    {_listed(adapted.unpronounced)}: found by letters alone; --lexicon says what they sound "
            "like, and espeak-ng, which comes with the extra demo"
        )
    before, after = adapted.ngrams
    unknown, still = adapted.unknown
    typer.echo(f"n-grams     {adapted.share:.0%} of the text's own")
    typer.echo(f"held out    perplexity {before:.1f}, now {after:.1f}; unknown words {unknown:.2%}, now {still:.2%}")
    if adapted.neural is not None:
        before, after = adapted.neural
        kept = "" if adapted.kept_neural else "; it stays as it was"
        typer.echo(f"neural LM   perplexity {before:.1f}, now {after:.1f}{kept}")
    elif epochs:
        typer.echo("neural LM   none, or too little text to train it on")


def _listed(words: tuple[str, ...]) -> str:
    shown, more = ", ".join(words[:_SHOWN]), ", …" if len(words) > _SHOWN else ""
    return f"{len(words):,}" + (f": {shown}{more}" if words else "")
