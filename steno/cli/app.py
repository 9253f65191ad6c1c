"""The root of the command line: puts the groups together and turns a user's mistakes into exit code 2."""

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import typer

from steno import __version__
from steno.cli import data, lm, models, track
from steno.cli.align import align
from steno.cli.batch import batch
from steno.cli.compare import compare
from steno.cli.doctor import doctor
from steno.cli.evaluate import evaluate, validate
from steno.cli.export import export, parity
from steno.cli.listen import listen
from steno.cli.lm_adapt import adapt as lm_adapt
from steno.cli.lm_normalize import lm_normalize
from steno.cli.lm_train import train as lm_train
from steno.cli.mix import mix
from steno.cli.pseudo_label import pseudo_label
from steno.cli.search import search
from steno.cli.serve import serve
from steno.cli.train import train
from steno.cli.transcribe import transcribe
from steno.cli.tune import tune
from steno.errors import MissingExtraError, StenoError

app = typer.Typer(
    name="steno",
    help="Train, track, register, evaluate and serve your own speech recogniser.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
lm.app.command("normalize")(lm_normalize)
lm.app.command("train")(lm_train)
lm.app.command("tune")(tune)
lm.app.command("adapt")(lm_adapt)
app.add_typer(lm.app, name="lm")
app.add_typer(models.app, name="models")
app.add_typer(track.app, name="track")
app.command("train")(train)
app.command("search")(search)
app.command("pseudo-label")(pseudo_label)
app.command()(mix)
app.command("transcribe")(transcribe)
app.command("batch")(batch)
app.command("listen")(listen)
app.command("validate")(validate)
app.command("evaluate")(evaluate)
app.command("compare")(compare)
app.command("serve")(serve)
app.command("align")(align)
app.command("export")(export)
app.command("parity")(parity)
app.command("doctor")(doctor)


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(f"steno {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    settle_threads()
    try:
        guarded(app)
    except BaseException as error:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            _leave(error)
        raise


def _leave(error: BaseException) -> None:
    """End one of several processes of a run that failed, at once: nothing is taken down that may wait for the others.

    At the interpreter's end torch 2.13 joins its threads while it holds the lock that they need to let go of their last
    tensors: some runs hung there, others were aborted. Those that load data would not notice this end.
    """
    from multiprocessing import active_children

    code: object = 1
    if isinstance(error, SystemExit):
        code = error.code
    else:
        traceback.print_exception(error)
    if not code:
        return
    for loader in active_children():
        loader.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def settle_threads() -> None:
    """Let OpenMP's threads wait a little by spinning, then asleep; it reads this when torch is loaded, later.

    Spinning for long, its default, makes a small model's training ten times slower as soon as anything else runs
    on the machine; not spinning at all halves its speed on a machine of its own.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "5000")


_EXTRA_OF = {
    **dict.fromkeys(
        ("torch", "lightning_fabric", "matplotlib", "mlflow", "psutil", "onnx", "optuna", "sentencepiece"), "train"
    ),
    **dict.fromkeys(("av", "fastapi", "multipart", "prometheus_client", "uvicorn"), "serve"),
    "pyarrow": "batch",
    "ray": "ray",
    **dict.fromkeys(("adlfs", "azure"), "azure"),
    "espeakng_loader": "demo",
    "flashlight": "lm",
    **dict.fromkeys(("boto3", "s3fs"), "s3"),
    "sounddevice": "mic",
    "transformers": "wav2vec2",
}
"""Modules that the base install lacks, and the extra that brings them."""


def guarded(run: Callable[[], object]) -> None:
    """Call, and turn a user's mistake, Ctrl-C and a closed pipe into a message and an exit code: 2, 130, 1."""
    try:
        run()
    except StenoError as error:
        _fail(error)
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _fail(MissingExtraError(error.name or "", extra))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:  # a full disk, a folder that may not be written
        place = f"{error.filename}: " if error.filename else ""
        _fail(StenoError(f"{place}{error.strerror or error}", "Look at the rights, and at the room on the disk."))


def _fail(error: StenoError) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
