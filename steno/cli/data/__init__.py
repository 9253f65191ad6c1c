"""`steno data …`: one file a command."""

import typer

from steno.cli.data.check import check
from steno.cli.data.download import download
from steno.cli.data.label import label
from steno.cli.data.prepare import prepare
from steno.cli.data.record import record
from steno.cli.data.shard import shard
from steno.cli.data.split import split
from steno.cli.data.synth import synth

app = typer.Typer(help="Get, make, describe and check recordings.", no_args_is_help=True, rich_markup_mode=None)

app.command("check")(check)
app.command("download")(download)
app.command("synth")(synth)
app.command("prepare")(prepare)
app.command("record")(record)
app.command("label")(label)
app.command("split")(split)
app.command("shard")(shard)
