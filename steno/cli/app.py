"""The root of the command line: puts the groups together and turns a user's mistakes into exit code 2."""

import os
import sys
from collections.abc import Callable

import typer

from steno import __version__
from steno.cli import data, models, track
from steno.cli.doctor import doctor
from steno.cli.evaluate import evaluate, validate
from steno.cli.train import train
from steno.cli.transcribe import transcribe
from steno.errors import StenoError

app = typer.Typer(
    name="steno",
    help="Train, track, register, evaluate and serve your own speech recogniser.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(track.app, name="track")
app.command("train")(train)
app.command("transcribe")(transcribe)
app.command("validate")(validate)
app.command("evaluate")(evaluate)
app.command("doctor")(doctor)


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(f"steno {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    # Threads that spin while they wait cost ten times the work of a small model on a machine that does anything
    # else beside it. OpenMP reads this when torch is loaded, later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    guarded(app)


def guarded(run: Callable[[], object]) -> None:
    """Call, and turn a user's mistake, Ctrl-C and a closed pipe into a message and an exit code: 2, 130, 1."""
    try:
        run()
    except StenoError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
