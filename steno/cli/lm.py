"""`steno lm`: language models."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from steno.cli.texts import Alphabet, Texts

app = typer.Typer(help="Build, train, tune and measure language models.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def build(
    texts: Texts,
    output: Annotated[Path, typer.Option("-o", "--output", help=".bin for KenLM's form, .arpa or .arpa.gz.")],
    order: Annotated[int, typer.Option(help="Length of the longest n-grams.")] = 4,
    prune: Annotated[
        str,
        typer.Option(
            metavar="N,N,...",
            help="Leave out n-grams that occur at most so often: a threshold an order, the last for all above.",
        ),
    ] = "0",
    vocab: Annotated[int | None, typer.Option(help="Keep so many of the most frequent words.")] = None,
    units: Annotated[Literal["words", "characters"], typer.Option(help="What the n-grams are made of.")] = "words",
    arpa: Annotated[Path | None, typer.Option(help="Write the model here as well, as .arpa or .arpa.gz.")] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Write .bin with 8-bit numbers: a quarter of the size, a little slower.")
    ] = False,
    alphabet: Alphabet = None,
) -> None:
    """Build an interpolated modified Kneser-Ney model from text."""
    import time

    from rich.console import Console
    from rich.table import Table

    from steno.cli.progress import progress_bar
    from steno.lm.build import build as build_model
    from steno.lm.files import KENLM_ORDER
    from steno.text import ENGLISH

    _check_arguments(texts, arpa)
    console = Console()
    outputs = [output] if arpa is None else [output, arpa]
    started = time.monotonic()
    with progress_bar(console) as bar:
        task = bar.add_task("", total=1.0)
        built = build_model(
            texts,
            outputs,
            order,
            _thresholds(prune),
            vocab,
            units,
            ENGLISH if alphabet is None else alphabet,
            compact,
            lambda what, part: bar.update(task, description=what, completed=part),
        )
    seconds = time.monotonic() - started
    table = Table("order", "n-grams", "kept", "discounts (once, twice, more)")
    for n, (counted, kept, discounts) in enumerate(zip(built.counted, built.kept, built.discounts, strict=True), 1):
        note = "" if discounts.estimated else " (too few to estimate)"
        table.add_row(str(n), f"{counted:,}", f"{kept:,}", " ".join(f"{d:.3f}" for d in discounts[:3]) + note)
    console.print(table)
    print(f"text        {built.sentences:,} sentences, {built.tokens:,} {units}")
    print(f"vocabulary  {built.vocabulary:,} {units}; {built.unknown / built.tokens:.2%} of the text is outside it")
    for path in outputs:
        print(f"{path}  {path.stat().st_size / 1e6:,.1f} MB")
    print(f"time        {seconds:.0f} s")
    if order > KENLM_ORDER and output.suffix == ".bin":
        print(f"note        the KenLM in flashlight-text, which decodes, reads orders up to {KENLM_ORDER}")


def _check_arguments(texts: list[Path], arpa: Path | None) -> None:
    from steno.errors import LanguageModelError

    stray = [str(text) for text in texts if str(text).isdecimal() and not text.exists()]
    if stray:
        raise LanguageModelError(f"{stray[0]}: no such text", "--prune takes one value: --prune 0,0,1")
    if arpa is not None and not arpa.name.endswith((".arpa", ".arpa.gz")):
        raise LanguageModelError(f"--arpa {arpa}: is no name of an ARPA file", "Name it .arpa or .arpa.gz.")


def _thresholds(text: str) -> list[int]:
    from steno.errors import LanguageModelError

    try:
        thresholds = [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        thresholds = [-1]
    if not thresholds or min(thresholds) < 0:
        raise LanguageModelError(f"--prune {text}: is not a list of counts", "For instance: --prune 0,0,1,1")
    return thresholds


@app.command()
def score(
    model: Annotated[
        Path, typer.Argument(metavar="LM", help="A language model: .bin, .arpa or .arpa.gz, or a neural .onnx.")
    ],
    texts: Texts,
    format: Annotated[Literal["text", "json"], typer.Option(help="json: each sentence as well.")] = "text",
    alphabet: Alphabet = None,
) -> None:
    """Tell how well a language model predicts text: its perplexity, and what it does not know."""
    from steno.lm import open_lm
    from steno.lm.score import score_text, score_texts, summed
    from steno.text import ENGLISH

    characters = ENGLISH if alphabet is None else alphabet
    if model.suffix == ".onnx":
        from steno.runtime.neural_lm import NeuralLM

        neural = NeuralLM(model)
        neural.check_fits(characters)
        units, sentences = "words", list(score_texts(neural.log_likelihoods, texts, characters))
        whole = summed(sentences, with_ends=False)
    else:
        opened = open_lm(model)
        units, sentences = opened.units, list(score_text(opened, texts, characters))
        whole = summed(sentences)
    if format == "json":
        import dataclasses

        import orjson

        found = {
            **dataclasses.asdict(whole),
            "units": units,
            "unknown_rate": whole.unknown_rate,
            "perplexity": whole.perplexity,
            "perplexity_of_known": whole.perplexity_of_known,
            "per_sentence": [dataclasses.asdict(sentence) for sentence in sentences],
        }
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    print(f"text        {whole.sentences:,} sentences, {whole.tokens:,} {units}")
    print(f"unknown     {whole.unknown:,} ({whole.unknown_rate:.2%})")
    print(f"perplexity  {whole.perplexity:.2f}, without the unknown {whole.perplexity_of_known:.2f}")
