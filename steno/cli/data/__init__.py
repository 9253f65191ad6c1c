"""`steno data …`: one file a command."""

import typer

app = typer.Typer(help="Get, make, describe and check recordings.", no_args_is_help=True, rich_markup_mode=None)
