"""A worker process: one recogniser, for files or for streams. Run as ``python -m steno.serving.worker FD``.

FD is a socket, on which the first frame says what is to be served.
"""

import signal
import socket
import sys

import numpy as np

from steno.errors import StenoError
from steno.runtime import DecodingOptions, Recognizer
from steno.serving.logs import setup
from steno.serving.wire import Channel


def main() -> None:
    """Load, warm up, say so, and work until the server hangs up.

    A terminal sends Ctrl-C to every process of the group: only the server decides when its workers end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    setup()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    frames = channel.receive()
    if not frames:  # the server has ended before it knew what to serve
        return
    settings, _ = frames[0]
    try:
        decoding = DecodingOptions(**{**settings["decoding"], "hotwords": tuple(settings["decoding"]["hotwords"])})
        recognizer = Recognizer(settings["folder"], settings["threads"], decoding)
        _warm_up(recognizer, streams=settings["kind"] == "streams")
    except StenoError as error:
        channel.send({"failed": error.message, "hint": error.hint})
        return
    channel.send({"ready": recognizer.config.name, "sample_rate": recognizer.sample_rate})
    if settings["kind"] == "files":
        from steno.serving.filework import serve_files

        serve_files(channel, recognizer, settings["max_seconds"])
    else:
        from steno.serving.streamwork import serve_streams

        serve_streams(channel, recognizer, settings["max_seconds"])


def _warm_up(recognizer: Recognizer, streams: bool) -> None:
    """Two seconds of silence, so that the first client does not wait for memory and caches."""
    silence = np.zeros(2 * recognizer.sample_rate, dtype=np.float32)
    if streams:
        session = recognizer.stream()
        session.accept(silence)
        session.finish()
    else:
        recognizer.transcribe([silence])


if __name__ == "__main__":
    main()
