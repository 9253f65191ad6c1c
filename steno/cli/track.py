"""`steno track`: the tracking server; `steno track sync`: what an outage left behind."""

from pathlib import Path

import typer

app = typer.Typer(
    help="Start the tracking server, or send what could not be sent.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def track(
    context: typer.Context,
    port: int = typer.Option(5000, min=1, max=65535, help="Port to listen on."),
    host: str = typer.Option("127.0.0.1", help="Address to listen on; 0.0.0.0 lets other machines in."),
    to: Path = typer.Option(Path(), "--to", metavar="DIR", help="Folder of the database and the artefacts."),
    workers: int = typer.Option(1, min=1, help="Processes that answer requests."),
    allowed_hosts: str = typer.Option(
        "", help="Host names that browsers and clients may use, separated by commas; needed behind a proxy."
    ),
    artifacts: str = typer.Option(
        "", metavar="URI", help="Where the artefacts go, s3://… or wasbs://…; DIR/mlartifacts by default."
    ),
) -> None:
    """Start a tracking server, and stop it with Ctrl-C."""
    if context.invoked_subcommand is not None:
        return
    import signal

    from rich.console import Console

    from steno.tracking.server import Server, ServerOptions

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    console = Console(highlight=False, soft_wrap=True)
    options = ServerOptions(to, host, port, workers, allowed_hosts or None, artifacts or None)
    signal.signal(signal.SIGTERM, stop)
    with Server(options) as server:
        try:
            server.wait_until_ready()
            console.print(f"tracking server: {options.uri}  (store: {to.absolute()})", markup=False)
            console.print(f"export MLFLOW_TRACKING_URI={options.uri}", markup=False)
            if options.exposed:
                console.print("other machines can reach it, and it asks for no password", style="yellow")
            code = server.wait()
        except KeyboardInterrupt:
            console.print("stopping")
            return
    raise typer.Exit(code)


@app.command("sync")
def sync(run_dir: Path = typer.Argument(help="Folder of a training run.")) -> None:
    """Send what a run could not send while its tracking server was away."""
    from steno.tracking.sender import sync as send_rest

    for done in send_rest(run_dir):
        print(f"run {done.run_id}: {done.records} records sent to {done.uri}")
        if done.refused:
            print(f"  {done.refused} were refused; see refused.jsonl in {run_dir / 'tracking' / done.run_id}")
