"""`steno lm tune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steno.decoding.config import DecodingConfig
    from steno.evaluation.tuning import Trial
    from steno.phonemes import Spelling


def tune(
    model: Annotated[str, typer.Argument(help="A model folder or a reference; a reference needs --to.")],
    lm: Annotated[
        Path, typer.Option(help="A language model that `steno lm build` wrote, or a model that has one, as small-en.")
    ],
    data: Annotated[Path, typer.Option(help="A dev manifest with text; never the one that you report on.")],
    to: Annotated[
        Path | None, typer.Option(help="A new model folder with the result; by default the model's own is changed.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Sets of weights that bayes tries.")] = 30,
    search: Annotated[
        Literal["bayes", "grid"], typer.Option(help="bayes: each set where the last ones promise most; grid: 90 sets.")
    ] = "bayes",
    beam: Annotated[int, typer.Option(min=1, help="Hypotheses kept after each frame.")] = 50,
    neural: Annotated[
        Path | None,
        typer.Option(help="A neural one that `steno lm train` wrote, or a model that has one, for a second pass."),
    ] = None,
    lexicon: Annotated[
        Path | None,
        typer.Option(
            help="What words of your own sound like: WORD, a tab and phonemes a line; espeak-ng says the rest."
        ),
    ] = None,
    sound_words: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many words, the likeliest, phonemes can find; all by default, fewer load sooner."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only N utterances, spread over the manifest.")] = None,
    surface: Annotated[Path | None, typer.Option(help="A JSON file that gets every trial.")] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of weights.")] = 1,
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Find a language model's weights on a dev set, calibrate confidences there, and keep both in the model folder."""
    import orjson
    from rich.console import Console

    from steno.cli.language_model import language_model
    from steno.cli.show import rate
    from steno.cli.target import refuse_existing
    from steno.data.manifest import Manifest
    from steno.errors import ModelError
    from steno.evaluation.emissions import emissions
    from steno.evaluation.tuning import tune as search_weights
    from steno.lm import open_lm
    from steno.phonemes import PRONUNCIATIONS, Pronunciations, pronounce, read_lexicon
    from steno.runtime import DecodingOptions, Recognizer
    from steno.runtime.folder import NEURAL_LM, DecodingFiles, with_decoding
    from steno.runtime.neural_lm import NeuralLM
    from steno.tracking.registry import is_kept_elsewhere, resolve

    if to is None and is_kept_elsewhere(model):
        raise ModelError(f"{model}: only a folder of your own is changed in place", "Name a new folder with --to.")
    if to is not None:
        refuse_existing(to)
    lm = language_model(lm, "lm")
    neural = None if neural is None else language_model(neural, "neural_lm")
    manifest = Manifest(data)
    folder = resolve(model, uri)
    recognizer = Recognizer(folder, decoding=DecodingOptions(method="greedy"))
    language = open_lm(lm)
    phonemes = recognizer.config.phonemes if language.units == "words" else None
    own: dict[str, Spelling] = {}
    if lexicon is not None:
        if phonemes is None:
            raise ModelError(
                f"{lexicon}: nothing to pronounce",
                "A lexicon needs a model with phonemes and a language model of words.",
            )
        own = read_lexicon(lexicon, phonemes.symbols)
    judge = None
    if neural is not None:
        if language.units != "words":
            raise ModelError(f"{neural}: goes with n-grams of words", f"{lm} has characters.")
        judge = NeuralLM(neural)
        judge.check_fits(recognizer.tokenizer.alphabet)
    console = Console(stderr=True)
    with console.status("emissions of the dev set"):
        found = emissions(recognizer, folder, manifest, limit)
    for identity, reason in found.left_out.items():
        typer.echo(f"left out    {identity}: {reason}", err=True)
    name = "lm" + "".join(lm.suffixes[-2:] if lm.suffix == ".gz" else lm.suffixes[-1:])
    pronounced, pronunciations = None, None
    with console.status("weights") as status:
        if phonemes is not None:
            spoken = set(language.words())
            if strangers := sorted(own.keys() - spoken):
                typer.echo(f"left out    not in the language model: {', '.join(strangers)}", err=True)
            own = {word: heard for word, heard in own.items() if word in spoken}
            pronounced = pronounce(spoken - own.keys(), phonemes.voice) | own
            pronunciations = Pronunciations(pronounced, phonemes.symbols, phonemes.voice)

        def watch(trial: "Trial") -> None:
            status.update(f"{_weights(trial)}: WER {trial.wer:.2%}")

        tuned = search_weights(
            recognizer,
            found,
            lm,
            name,
            beam=beam,
            trials=trials,
            search=search,
            seed=seed,
            pronunciations=pronunciations,
            sound_words=sound_words,
            neural=judge,
            watch=watch,
        )
    typer.echo(_table(tuned.trials))
    config = tuned.config
    if config.phoneme_share:
        config = config.model_copy(update={"pronunciations": PRONUNCIATIONS})
    if config.neural_weight:
        config = config.model_copy(update={"neural_lm": NEURAL_LM})
    if tuned.shares:
        typer.echo("phonemes    " + ", ".join(f"{share:g}: {wer:.1%}" for share, wer in tuned.shares.items()))
    if tuned.neural:
        typer.echo("neural LM   " + ", ".join(f"{weight:g}: {wer:.1%}" for weight, wer in tuned.neural.items()))
        if not config.neural_weight:
            typer.echo(f"left out    {neural}: it does not help", err=True)
    typer.echo(f"best        {_weights(config)}, beam {config.beam}")
    if second := _second_pass(config):
        typer.echo(f"second pass {second}")
    typer.echo(f"WER greedy  {rate(tuned.greedy.wer, tuned.greedy.wer_interval())}")
    typer.echo(f"WER with LM {rate(tuned.scores.wer, tuned.scores.wer_interval())}  (on the very data it was tuned on)")
    target = to or folder
    measured = {
        "manifest": str(data),
        "digest": manifest.digest,
        "utterances": len(found),
        "trials": len(tuned.trials),
        "greedy_wer": round(tuned.greedy.wer, 5),
        "wer": round(tuned.scores.wer, 5),
    }
    if lexicon is not None:
        measured |= {"lexicon": str(lexicon), "lexicon_words": len(own)}
    if config.neural_weight and judge is not None:
        measured["neural_lm"] = {"file": str(neural), **judge.about}
    told = (
        f"Beam search keeps {config.beam} hypotheses and weighs the language model `{config.lm}` ({lm.name}) with "
        f"{config.lm_weight:g}, words with {config.word_score:g}, and the labels' prior with {config.prior_weight:g}. "
        f"{f'Then {second}. ' if second else ''}"
        "The weights and the confidences were tuned on "
        f"`{data}` ({len(found)} utterances, digest {manifest.digest}): there the WER is "
        f"{rate(tuned.scores.wer, tuned.scores.wer_interval())}, greedy "
        f"{rate(tuned.greedy.wer, tuned.greedy.wer_interval())}. The figures above are greedy decoding's."
    )
    with_decoding(folder, target, config, DecodingFiles(lm, pronounced, neural), measured, told)
    typer.echo(f"kept in     {target}")
    if surface is not None:
        surface.write_bytes(orjson.dumps(list(tuned.trials), option=orjson.OPT_INDENT_2))
        typer.echo(f"surface     {surface}")


def _second_pass(config: "DecodingConfig") -> str:
    """What changes the scores of beam search's hypotheses, in words."""
    told = []
    if config.phoneme_share:
        told.append(f"phonemes find hypotheses, too, and give {config.phoneme_share:.0%} of the acoustic score of each")
    if config.neural_weight:
        told.append(
            f"a neural language model is weighed with {config.neural_weight:g}, and takes {config.neural_share:.0%} of "
            "what the language model gave"
        )
    return ", and ".join(told)


def _weights(found: "Trial | DecodingConfig") -> str:
    from steno.evaluation.tuning import Weights

    return ", ".join(f"{name} {getattr(found, name):g}" for name in Weights._fields)


def _table(trials: "Sequence[Trial]") -> str:
    """The surface: the least word error rate found in each cell of weight and score."""
    weights = sorted({_cell(trial.lm_weight, 0.25) for trial in trials})
    scores = sorted({_cell(trial.word_score, 1.0) for trial in trials})
    lines = ["dev WER, the best of each cell (rows: lm_weight, columns: word_score)"]
    lines.append("        " + "".join(f"{score:8.1f}" for score in scores))
    for weight in weights:
        row = f"{weight:8.2f}"
        for score in scores:
            here = [t.wer for t in trials if (_cell(t.lm_weight, 0.25), _cell(t.word_score, 1.0)) == (weight, score)]
            row += f"{min(here):8.1%}" if here else "       –"
        lines.append(row)
    return "\n".join(lines)


def _cell(value: float, width: float) -> float:
    return round(value / width) * width
