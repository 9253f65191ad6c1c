"""`steno transcribe`."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steno.cli.decoding import takes_options
from steno.cli.model import ModelOrBundled, Threads, open_recognizer
from steno.fragments import part_of

if TYPE_CHECKING:
    from steno.decoding.options import DecodingOptions
    from steno.decoding.transcript import Transcript
    from steno.runtime.files import FileResult

Format = Literal["text", "json", "srt", "vtt", "ctm"]


@takes_options()
def transcribe(
    files: Annotated[
        list[str],
        typer.Argument(help="Recordings, folders, globs or folders of shards; - reads one from standard input."),
    ],
    model: ModelOrBundled = None,
    format: Annotated[
        Format, typer.Option(help="text: a line a file; json: one list, with words and times; srt, vtt; ctm.")
    ] = "text",
    out: Annotated[
        Path | None, typer.Option(help="A folder: one file for each recording, instead of standard output.")
    ] = None,
    channels: Annotated[
        bool, typer.Option("--channels", help="Each channel by itself, as of a call with one for each speaker.")
    ] = False,
    threads: Threads = None,
    *,
    asked: "DecodingOptions",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Write what is said in recordings. A file that fails does not stop the others; the exit code is then 1."""
    from steno.cli.measuring import refuse_store
    from steno.data.shards.index import in_shards
    from steno.errors import DecodingError
    from steno.runtime.files import by_channel, expand, transcribe_files

    if out is not None:
        refuse_store(out, "--out")
    if asked.nbest > 1 and format != "json":
        raise DecodingError(f"--format {format} has no room for --nbest {asked.nbest}", "Use --format json.")
    names = [name for file in files for name in in_shards(file) or expand([file])]
    if channels:
        if "-" in names:
            raise DecodingError("--channels does not go with standard input", "Name a file.")
        names = by_channel(names)
    if out is None and format in ("srt", "vtt") and len(names) > 1:
        raise DecodingError(
            f"--format {format} is one file a recording, and there are {len(names)}", "Name a folder with --out."
        )
    recognizer = open_recognizer(model, asked, uri, threads)
    sources = [sys.stdin.buffer.read() if name == "-" else Path(name) for name in names]
    results = transcribe_files(recognizer, sources)
    if out is not None:
        failed = _write_files(names, results, format, out)
    elif format == "json":
        failed = _write_json(names, results)
    else:
        failed = _write_lines(names, results, format)
    if failed:
        typer.echo(f"{failed} of {len(names)} files could not be transcribed", err=True)
        raise typer.Exit(1)


def _write_lines(names: list[str], results: "Iterable[FileResult]", format: Format) -> int:
    failed = 0
    for name, result in zip(names, results, strict=True):
        if result.transcript is None:
            failed += 1
            typer.echo(f"error: {result.error}", err=True)
        elif format == "text":
            typer.echo(result.transcript.text if len(names) == 1 else f"{name}\t{result.transcript.text}")
        else:
            typer.echo(_rendered(result.transcript, format, name), nl=False)
    return failed


def _write_json(names: list[str], results: "Iterable[FileResult]") -> int:
    import orjson

    from steno.runtime.formats import to_dict

    rows = []
    for name, result in zip(names, results, strict=True):
        found = to_dict(result.transcript) if result.transcript else {"error": str(result.error)}
        rows.append({"file": name, **found})
    typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    return sum("error" in row for row in rows)


def _write_files(names: list[str], results: "Iterable[FileResult]", format: Format, out: Path) -> int:
    from steno.errors import StenoError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StenoError(f"{out}: {error.strerror or error}", "Name another folder with --out.") from error
    failed = 0
    suffix = "txt" if format == "text" else format
    for name, target, result in zip(names, _targets(names), results, strict=True):
        if result.transcript is None:
            failed += 1
            typer.echo(f"error: {result.error}", err=True)
        else:
            path = out / f"{target}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_rendered(result.transcript, format, name), encoding="utf-8")
    return failed


def _targets(names: list[str]) -> list[Path]:
    """Where each recording's text goes, without an ending: by its name, or, where two have the same, with the folders
    below what all have in common, and where even these are the same, with the recording's ending."""
    stems = [Path("stdin" if name == "-" else part_of(name).name) for name in names]
    if len(set(stems)) == len(stems):
        return stems
    paths = [Path(name).absolute() for name in names]
    common = Path(os.path.commonpath([path.parent for path in paths]))
    below = [path.relative_to(common) for path in paths]
    plain = [path.with_suffix("") for path in below]
    return [short if plain.count(short) == 1 else whole for short, whole in zip(plain, below, strict=True)]


def _rendered(transcript: "Transcript", format: Format, name: str) -> str:
    import orjson

    from steno.runtime.formats import to_ctm, to_dict, to_srt, to_vtt

    if format == "json":
        return orjson.dumps({"file": name, **to_dict(transcript)}, option=orjson.OPT_INDENT_2).decode() + "\n"
    if format == "srt":
        return to_srt(transcript)
    if format == "vtt":
        return to_vtt(transcript)
    if format == "ctm":
        return to_ctm(transcript, part_of(name).name if name != "-" else "stdin")
    return transcript.text + "\n"
