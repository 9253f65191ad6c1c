"""`steno doctor`."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from steno.doctor import Diagnosis

_STYLES = {"ok": "green", "warning": "yellow", "absent": "dim", "failed": "red"}


def doctor(
    format: Annotated[Literal["text", "json"], typer.Option(help="For reading, or for a program.")] = "text",
    uri: Annotated[str | None, typer.Option(help="MLflow's store; $MLFLOW_TRACKING_URI by default.")] = None,
) -> None:
    """Try what Steno needs on this machine, and say what works.

    Exit code: 0 if the base install works, 1 if something of it does not. Optional parts do not count.
    """
    import json

    from steno.doctor import diagnose

    diagnosis = diagnose(uri)
    if format == "json":
        typer.echo(json.dumps(diagnosis.as_json(), indent=2, ensure_ascii=False))
    else:
        _print(diagnosis)
    if not diagnosis.base_works:
        raise typer.Exit(1)


def _print(diagnosis: "Diagnosis") -> None:
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:  # part of the base, and so perhaps what is wrong
        for check in diagnosis.checks:
            print(f"{check.part}: {check.name}: {check.status}: {check.detail} {check.remedy}".rstrip())
        return
    console = Console(highlight=False, soft_wrap=True)
    width = max(len(check.name) for check in diagnosis.checks)
    part = ""
    for check in diagnosis.checks:
        if check.part != part:
            part = check.part
            console.print(Text(part, style="bold"))
        line = Text.assemble("  ", (f"{check.status:<8}", _STYLES[check.status]), f"{check.name:<{width}}  ")
        console.print(line + Text(check.detail))
        if check.remedy:
            console.print(Text(f"{'':<{width + 12}}{check.remedy}"))
