"""`steno transcribe`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steno.runtime.files import FileResult


def transcribe(
    files: Annotated[list[str], typer.Argument(help="Recordings, folders or globs; - reads one from standard input.")],
    model: Annotated[
        str, typer.Option(help="A model folder, models:/NAME@alias, models:/NAME/VERSION, runs:/ID/model.")
    ],
    format: Annotated[Literal["text", "json"], typer.Option(help="text: a line a file; json: one list.")] = "text",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Write what is said in recordings. A file that fails does not stop the others; the exit code is then 1."""
    from steno.runtime import Recognizer
    from steno.runtime.files import expand, transcribe_files
    from steno.tracking.registry import resolve

    names = expand(files)
    recognizer = Recognizer(resolve(model, uri))
    sources = [sys.stdin.buffer.read() if name == "-" else Path(name) for name in names]
    results = transcribe_files(recognizer, sources)
    failed = _write_json(names, results) if format == "json" else _write_text(names, results)
    if failed:
        typer.echo(f"{failed} of {len(names)} files could not be transcribed", err=True)
        raise typer.Exit(1)


def _write_text(names: list[str], results: "Iterable[FileResult]") -> int:
    failed = 0
    for name, result in zip(names, results, strict=True):
        if result.transcript is None:
            failed += 1
            typer.echo(f"error: {result.error}", err=True)
        else:
            typer.echo(result.transcript.text if len(names) == 1 else f"{name}\t{result.transcript.text}")
    return failed


def _write_json(names: list[str], results: "Iterable[FileResult]") -> int:
    import orjson

    rows = []
    for name, result in zip(names, results, strict=True):
        found = {"text": result.transcript.text} if result.transcript else {"error": str(result.error)}
        rows.append({"file": name, **found})
    typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    return sum("error" in row for row in rows)
