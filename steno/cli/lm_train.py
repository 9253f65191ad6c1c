"""`steno lm train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from steno.training.language_model import Report


def train(
    texts: Annotated[
        list[Path], typer.Argument(metavar="TEXT...", help="Text, .gz or .xz, a sentence a line in order of reading.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file that is written, .onnx.")],
    dev: Annotated[
        Path | None, typer.Option(help="Text that is not trained on: its perplexity is told on the way.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", help="A neural language model that is trained on, or a model that has one, as small-en."
        ),
    ] = None,
    pieces: Annotated[
        int | None, typer.Option(min=2, help="Pieces of words that are learnt, at most; 4096 by default.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=64, help="Of each piece's representation, a multiple of 64; 256 by default.")
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Of the Transformer; 4 by default.")] = None,
    epochs: Annotated[float, typer.Option(min=0.001, help="Passes through the text, not necessarily whole.")] = 1.0,
    batch: Annotated[int, typer.Option(min=1, help="Blocks of 128 pieces a step.")] = 32,
    lr: Annotated[float, typer.Option(help="Peak learning rate, of Muon; a tenth of it is right for --from.")] = 0.003,
    seed: Annotated[int, typer.Option(help="Of the first weights and the order.")] = 1,
    precision: Annotated[
        Literal["auto", "bf16", "32"], typer.Option(help="auto: bf16 on a GPU; it is fast on CPUs with AMX too.")
    ] = "auto",
    compile: Annotated[
        bool, typer.Option("--compile", help="Have torch compile the model first, which needs a C++ compiler.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training of OUTPUT that was stopped.")
    ] = False,
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
    track: Annotated[bool, typer.Option("--track/--no-track", help="Whether MLflow keeps the run.")] = True,
    alphabet: Annotated[
        str | None, typer.Option(help="Characters of the recogniser, with the space; English by default.")
    ] = None,
) -> None:
    """Train a neural language model on text, for a second pass over what beam search finds, and track it."""
    import time

    from rich.console import Console

    from steno.cli.language_model import language_model
    from steno.cli.progress import progress_bar
    from steno.errors import LanguageModelError
    from steno.models.language_model import HEAD
    from steno.runtime.neural_lm import NeuralLM
    from steno.text import ENGLISH
    from steno.training.interrupt import Interrupted
    from steno.training.language_model import LanguageModelPlan
    from steno.training.language_model_run import run_language_model

    if output.suffix != ".onnx":
        raise LanguageModelError(f"{output}: is written as ONNX", f"Name it {output.with_suffix('.onnx').name}.")
    if not output.parent.is_dir():
        raise LanguageModelError(f"{output}: there is no folder {output.parent}", "Make it first.")
    if size and size % HEAD:
        raise LanguageModelError(f"--size {size} is not a multiple of {HEAD}", "For instance 192, 256 or 512.")
    sizes = {"pieces": pieces, "size": size, "layers": layers}
    given = {name: value for name, value in sizes.items() if value is not None}
    if start is not None:
        if given:
            raise LanguageModelError(
                f"--from {start} goes on with its own {', '.join(sizes)}", f"Leave out --{' and --'.join(given)}."
            )
        start = language_model(start, "neural_lm")
        alphabet = alphabet or NeuralLM(start).tokenizer.alphabet
    plan = LanguageModelPlan(
        **given, epochs=epochs, batch=batch, lr=lr, seed=seed, precision=precision, compiled=compile, start=start
    )
    console = Console()
    started = time.monotonic()
    with progress_bar(console) as bar:
        task = bar.add_task("", total=1.0)

        def watch(report: "Report") -> None:
            bar.update(task, description="training", completed=report.step / report.steps)
            dev_told = f", dev perplexity {report.dev_perplexity:.1f}" if report.dev_perplexity is not None else ""
            console.print(
                f"step {report.step:,} of {report.steps:,}  perplexity of a piece {report.perplexity:.1f}{dev_told}  "
                f"{report.words_per_second:,.0f} words a second",
                soft_wrap=True,
            )

        try:
            result = run_language_model(
                texts,
                output,
                ENGLISH if alphabet is None else alphabet,
                plan,
                dev=dev,
                resume=resume,
                tracked=track,
                tracking_uri=uri,
                progress=lambda what, part: bar.update(task, description=what, completed=part),
                watch=watch,
            )
        except Interrupted:
            typer.echo("\nstopped and saved; go on with the same command and --resume", err=True)
            raise typer.Exit(130) from None
    about = result.trained.about
    print(f"text        {about['sentences']:,} sentences, {about['words']:,} words")
    print(f"pieces      {len(result.trained.tokenizer) - 1:,}")
    print(
        f"parameters  {result.parameters:,}, in 8 bits; ln of a piece's chance changes by {result.difference:.4f} "
        "with that"
    )
    if "dev_perplexity" in about:
        print(f"perplexity  {about['dev_perplexity']:.2f} a word on {dev}")
    print(f"{output}  {output.stat().st_size / 1e6:,.1f} MB")
    print(f"time        {time.monotonic() - started:.0f} s")
    if result.run_id:
        print(f"run         {result.run_id}")
