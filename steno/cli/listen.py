"""`steno listen`."""

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steno.cli.decoding import takes_options
from steno.cli.model import ModelOrBundled, open_recognizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from steno.audio import Samples
    from steno.decoding.options import DecodingOptions
    from steno.runtime.streaming import Event, StreamingSession


@takes_options("nbest")
def listen(
    model: ModelOrBundled = None,
    file: Annotated[Path | None, typer.Option(help="Listen to a recording instead of the microphone.")] = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="Play the recording at its own pace.")] = False,
    format: Annotated[
        Literal["text", "jsonl"], typer.Option(help="text: a line an utterance; jsonl: an object an event.")
    ] = "text",
    device: Annotated[str | None, typer.Option(help="The microphone: its number or a part of its name.")] = None,
    pause: Annotated[float | None, typer.Option(help="Seconds of silence that end an utterance.", min=0.1)] = None,
    *,
    asked: "DecodingOptions",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Write what is said while it is said: from the microphone until Ctrl-C, or from a recording."""
    from steno import audio
    from steno.errors import StenoError
    from steno.runtime.microphone import BLOCK_SECONDS, Microphone
    from steno.runtime.streaming import EndpointConfig

    if file is None and realtime:
        raise StenoError("--realtime is the pace of a recording", "Name one with --file, or leave --realtime out.")
    if file is not None and device is not None:
        raise StenoError("--file and --device are two sources", "Give one of them.")
    endpointing = EndpointConfig() if pause is None else EndpointConfig.pausing(pause)
    microphone = Microphone(device) if file is None else None
    recognizer = open_recognizer(model, asked, uri)
    rate = microphone.rate if microphone else recognizer.sample_rate
    session = recognizer.stream(rate, endpointing=endpointing)
    write = _json_line if format == "jsonl" else _Captions().write
    if microphone is not None:
        with microphone:
            typer.echo("listening; Ctrl-C ends", err=True)
            _run(session, microphone.blocks(), write, endless=True)
        return
    assert file is not None
    blocks = audio.blocks(file, recognizer.sample_rate, BLOCK_SECONDS)
    _run(session, _paced(blocks, rate) if realtime else blocks, write)


def _run(
    session: "StreamingSession",
    blocks: "Iterable[Samples]",
    write: "Callable[[Event], None]",
    endless: bool = False,
) -> None:
    """Everything that is heard; Ctrl-C is the end of what has none."""
    try:
        for block in blocks:
            for event in session.accept(block):
                write(event)
    except KeyboardInterrupt:
        if not endless:
            raise
    for event in session.finish():
        write(event)


def _paced(blocks: "Iterable[Samples]", rate: float) -> "Iterator[Samples]":
    """Each block when it would have been spoken."""
    started, spoken = time.monotonic(), 0
    for block in blocks:
        spoken += len(block)
        time.sleep(max(0.0, started + spoken / rate - time.monotonic()))
        yield block


class _Captions:
    """A line an utterance; on a terminal the last line is rewritten while the utterance goes on."""

    def __init__(self) -> None:
        self._rewrites = sys.stdout.isatty()

    def write(self, event: "Event") -> None:
        from steno.runtime.streaming import Final

        clear = "\r\x1b[2K" if self._rewrites else ""
        if isinstance(event, Final):
            sys.stdout.write(f"{clear}{event.text}\n")
        elif self._rewrites:
            # A line that wraps could not be rewritten, so only its end is shown.
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write(f"{clear}{event.text[-width:]}")
        sys.stdout.flush()


def _json_line(event: "Event") -> None:
    import orjson

    from steno.runtime.streaming.events import to_dict

    sys.stdout.write(orjson.dumps(to_dict(event)).decode() + "\n")
    sys.stdout.flush()
