"""`steno serve`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steno.cli.decoding import takes_options
from steno.cli.model import ModelOrBundled, named_or_bundled

if TYPE_CHECKING:
    from steno.decoding.options import DecodingOptions


@takes_options("nbest")
def serve(
    model: ModelOrBundled = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="Model name that clients may ask for; repeatable. By default the one it is registered under, "
            "and the model's own."
        ),
    ] = None,
    language: Annotated[str, typer.Option(help="What the model speaks, ISO 639-1.")] = "en",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes for files, and as many for streams; one a core by default.")
    ] = None,
    max_queue: Annotated[int, typer.Option(min=1, help="Requests inside at one time; more are told 429.")] = 64,
    max_streams: Annotated[int, typer.Option(min=0, help="Live streams at one time; more are told 429.")] = 64,
    max_seconds: Annotated[float, typer.Option(min=1, help="Longest audio of one file, in seconds.")] = 600,
    max_bytes: Annotated[int, typer.Option(min=1024, help="Greatest upload, in bytes.")] = 25 * 1024 * 1024,
    max_batch: Annotated[int, typer.Option(min=1, help="Files that one worker takes together.")] = 8,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for a request, upload and waiting included.")] = 120,
    idle_seconds: Annotated[float, typer.Option(min=1, help="Seconds without audio that end a stream.")] = 30,
    drain_seconds: Annotated[float, typer.Option(min=0, help="Seconds to finish what is inside on SIGTERM.")] = 30,
    api_keys: Annotated[
        Path | None, typer.Option(help="File of API keys, one a line. Default: $STENO_API_KEYS, or no keys.")
    ] = None,
    cors: Annotated[
        list[str] | None, typer.Option(help="Origin whose pages may call the API, https://example.org; repeatable.")
    ] = None,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option(help="Host name that may stand in the Host header, or *.example.org; repeatable. IPs always may."),
    ] = None,
    log_transcripts: Annotated[
        bool, typer.Option("--log-transcripts", help="Write what was heard to the log.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Swap the model when its alias, or its folder in a store, changes.")
    ] = False,
    *,
    asked: "DecodingOptions",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Serve a model: OpenAI's transcription API, live streams over WebSocket, and a page with a microphone."""
    from steno.serving.spawn import one_ahead

    with one_ahead():
        from steno.config import validate
        from steno.cores import usable_cores
        from steno.errors import ModelError, StenoError
        from steno.runtime.folder import read_config
        from steno.serving.config import MOST_WORKERS, ServeConfig
        from steno.serving.keys import read_keys
        from steno.serving.server import serve as run
        from steno.storage import is_remote
        from steno.tracking.lookup import registered_name
        from steno.tracking.registry import resolve

        named, asked = named_or_bundled(model, asked)
        if watch and not (named.startswith("models:") or is_remote(named)):
            raise ModelError(
                f"{named}: --watch follows a reference, or a folder in a store",
                "Give models:/NAME@alias or s3://…, or leave --watch out.",
            )
        keys = read_keys(api_keys)
        folder = resolve(named, uri)
        own = read_config(folder).name
        settings = {
            "names": tuple(name or dict.fromkeys((registered_name(named) or own, own))),
            "language": language,
            "workers": workers or min(usable_cores(), MOST_WORKERS),
            "max_queue": max_queue,
            "max_streams": max_streams,
            "max_seconds": max_seconds,
            "max_bytes": max_bytes,
            "max_batch": max_batch,
            "timeout": timeout,
            "idle_seconds": idle_seconds,
            "drain_seconds": drain_seconds,
            "cors": tuple(cors or ()),
            "allowed_hosts": tuple(allowed_hosts or ()),
            "log_transcripts": log_transcripts,
            "decoding": asked,
        }
        config = validate(ServeConfig, settings, "the options of steno serve", StenoError)
        if not keys and host not in ("127.0.0.1", "localhost", "::1"):
            typer.echo(f"warning: without --api-keys, whoever reaches {host} may use this server", err=True)
        run(
            lambda: resolve(named, uri) if watch else folder,
            watch,
            host,
            port,
            config,
            keys,
            lambda address: typer.echo(f"serving {', '.join(config.names)} at {address}  (stop with Ctrl-C)"),
        )
