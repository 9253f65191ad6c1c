"""The classic project's command line: ``python main.py`` and the entry points of ``MLproject``."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from steno.cli.app import guarded, settle_threads

if TYPE_CHECKING:
    from steno.training.classic import Classic


def main(arguments: list[str] | None = None) -> None:
    """Train and register (``--train=True``, the default), or validate one utterance (``--train=False``)."""
    settle_threads()
    given = _parser().parse_args(arguments)
    guarded(lambda: _train(given) if given.train else _validate(given))


def _train(given: argparse.Namespace) -> None:
    from rich.console import Console

    from steno.data.download.console import ConsoleWatcher
    from steno.evaluation.show import score_line
    from steno.training.classic import train_classic
    from steno.training.display import ConsoleDisplay
    from steno.training.interrupt import Interrupted

    with ConsoleWatcher(Console(stderr=True)) as watcher:
        try:
            result = train_classic(_options(given), ConsoleDisplay(), watcher)
        except Interrupted:
            print("stopped and saved; `steno train … --resume` continues it, see the folder runs", file=sys.stderr)
            sys.exit(130)
    for part, scores in result.scores.items():
        print(f"{part}: {score_line(scores)}")
    print(f"model: {result.model}")


def _validate(given: argparse.Namespace) -> None:
    from rich.console import Console

    from steno.cli.evaluate import validate
    from steno.data.download.console import ConsoleWatcher
    from steno.training.classic import corpus_with

    with ConsoleWatcher(Console(stderr=True)) as watcher:
        data = corpus_with(_options(given), given.file_id, watcher)
    model = given.registered_model
    reference = model if Path(model).is_dir() else f"models:/{model}/{given.model_stage}"
    validate(model=reference, file_id=given.file_id, data=data, uri=None)


def _options(given: argparse.Namespace) -> "Classic":
    from steno.training.classic import Classic

    return Classic(
        recipe=given.recipe,
        data=given.data,
        registered_model=given.registered_model,
        model_stage=given.model_stage,
        epoch=given.epoch,
        batch=given.batch,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="main.py", description="Train or validate a speech recogniser.")
    parser.add_argument("--train", type=_truth, default=True, metavar="True|False", help="False validates")
    parser.add_argument("--epoch", type=_count, help="epochs; the recipe's by default")
    parser.add_argument("--batch", type=_count, help="utterances in a batch; the recipe's by default")
    parser.add_argument("--recipe", type=Path, default=Path("recipes/librispeech-2000.yaml"))
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of LibriSpeech")
    parser.add_argument("--registered_model", default="SpeechRecognitionModel", help="name in the registry")
    parser.add_argument("--model_stage", default="Production", help="stage, as the alias of the same name")
    parser.add_argument("--file_id", default="1089-134686-0000", help="utterance to validate")
    return parser


def _truth(text: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")
    return known[text.lower()]


def _count(text: str) -> int:
    # MLflow hands on what -P was given, such as 20 or 20.0, without checking it.
    number = float(text) if text.replace(".", "", 1).isdigit() else 0.0
    if number < 1 or not number.is_integer():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(number)
