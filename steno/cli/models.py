"""`steno models`: what is registered, how good it is, and which version is in use; and registering more."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

if TYPE_CHECKING:
    from steno.tracking.promotion import Promotion
    from steno.tracking.version import ModelVersion

app = typer.Typer(help="Register, list, show and promote models.", no_args_is_help=True, rich_markup_mode=None)
_URI = typer.Option(None, "--uri", help="Tracking store; default MLFLOW_TRACKING_URI, else sqlite:///mlflow.db.")


@app.command("list")
def list_(uri: str | None = _URI) -> None:
    """List the registered models."""
    from rich.console import Console
    from rich.table import Table

    from steno.tracking.registry import list_models

    models = list_models(uri)
    if not models:
        print("no models are registered yet; `steno train` registers one")
        return
    table = Table("model", "versions", "latest", "created", "WER", "aliases")
    for model in models:
        latest = model.latest
        table.add_row(
            model.name,
            str(model.versions),
            str(latest.version) if latest else "–",
            _when(latest) if latest else "–",
            _wer(latest) if latest else "–",
            ", ".join(f"{alias} → {version}" for alias, version in sorted(model.aliases.items())) or "–",
        )
    Console().print(table)


@app.command()
def show(name: str = typer.Argument(help="A registered model."), uri: str | None = _URI) -> None:
    """Show every version of a model."""
    from rich.console import Console
    from rich.table import Table

    from steno.tracking import registry

    table = Table("version", "aliases", "created", "measured (95 % interval)", "last decisions", title=name)
    table.add_column("run", overflow="fold")
    for version in registry.show(name, uri):
        aliases = [*version.aliases, *([f"stage {version.stage}"] if version.stage else [])]
        table.add_row(
            str(version.version),
            ", ".join(aliases) or "–",
            _when(version),
            "\n".join(_measured(version)) or "–",
            "\n".join(_decisions(version)) or "–",
            version.run_id or "–",
        )
    Console().print(table)


@app.command()
def register(
    model: str = typer.Argument(
        help="A model folder, such as `steno lm tune`, `mix` or `export` left it, or a reference."
    ),
    name: str = typer.Argument(help="The registered model that gets a new version; it is made if there is none."),
    data: Path | None = typer.Option(None, help="A manifest on which the version is measured first."),
    uri: str | None = _URI,
) -> None:
    """Make a model folder a version of a registered model, with all that it decodes with."""
    from steno.cli.measuring import measure
    from steno.data.manifest import Manifest
    from steno.evaluation.measure import alphabet_of
    from steno.evaluation.normalization import Normalization
    from steno.evaluation.show import rate
    from steno.runtime import Recognizer
    from steno.tracking import registry

    registry.check_name(name)
    folder = registry.resolve(model, uri)
    metrics: dict[str, float] = {}
    if data is not None:
        recognizer = Recognizer(folder)
        manifest = Manifest(data)
        found = measure(recognizer, manifest, model, Normalization("steno", alphabet_of(recognizer))).checked().scores
        wer, cer = found.wer_interval(), found.cer_interval()
        print(f"WER         {rate(found.wer, wer)}")
        part = data.stem
        metrics = {f"{part}_wer": found.wer, f"{part}_wer_low": wer.low, f"{part}_wer_high": wer.high}
        metrics |= {f"{part}_cer": found.cer, f"{part}_cer_low": cer.low, f"{part}_cer_high": cer.high}
    version = registry.register(folder, name, metrics, uri)
    print(f"registered as {name} version {version.version}")
    print(f"next: steno models promote {name} {version.version} --data MANIFEST")


@app.command()
def promote(
    name: str = typer.Argument(help="A registered model."),
    version: int = typer.Argument(help="The version to promote."),
    alias: str = typer.Option("champion", help="The alias that the version gets."),
    data: Path | None = typer.Option(None, help="A manifest on which the version and the holder are compared."),
    significance: float | None = typer.Option(None, help="Chance of a false promotion that is accepted; 0.05."),
    margin: float | None = typer.Option(
        None, help="0, the default: it must be better; 0.01: not worse by one error in 100 words."
    ),
    normalize: Literal["steno", "none"] | None = typer.Option(
        None, help="What is done to texts before they are compared; steno by default."
    ),
    force: bool = typer.Option(False, "--force", help="Promote whatever the evidence; that is recorded."),
    uri: str | None = _URI,
) -> None:
    """Give a version an alias if it is better than the version that has it.

    Both are measured on --data, on this machine. A version that is not better is refused, with exit code 1. The
    first version to get an alias gets it freely. The evidence is kept with the version.
    """
    from steno.cli.measuring import measure, refuse_idle_option
    from steno.data.manifest import Manifest
    from steno.tracking import promotion

    manifest = None if data is None else Manifest(data)
    given: dict[str, Any] = {"significance": significance, "margin": margin, "normalization": normalize}
    given = {key: value for key, value in given.items() if value is not None}
    refuse_idle_option("--significance, --margin or --normalize", bool(given) and data is None, "--data")
    rule = promotion.Rule(**given, force=force)
    done = promotion.promote(name, version, alias, data=manifest, rule=rule, uri=uri, measure=measure)
    if done.decision == "held":
        print(f"version {version} of {name} already is @{done.alias}")
        return
    if not done.has_alias:
        print(f"refused: {done.reason}\n@{done.alias} stays version {done.previous} of {name}", file=sys.stderr)
        raise typer.Exit(1)
    before = f" (was version {done.previous})" if done.previous is not None else ""
    print(f"version {version} of {name} is now @{done.alias}{before}")
    if done.previous is not None:
        print(done.reason)
    if done.comparison is None:
        print("\n".join(_told(done)))
    print(f"use it as: models:/{name}@{done.alias}")


def _told(done: "Promotion") -> list[str]:
    """What is known of a version that was compared with none: measured now, or when it was made."""
    from steno.evaluation.show import rate

    if done.measured is not None:
        scores = done.measured.scores
        return [f"WER         {rate(scores.wer, scores.wer_interval())} on {done.measured.data}"]
    known = [line for line in _measured(done.version) if "wer" in line.split()[0].lower()]
    return [f"measured    {line} when it was made" for line in known] or [
        "measured    nothing is known of it; --data MANIFEST measures it"
    ]


def _decisions(version: "ModelVersion") -> list[str]:
    """``champion: refused``: what was decided last about the version, for each alias."""
    found = {
        key.removeprefix("steno.").removesuffix(".decision"): value
        for key, value in version.tags.items()
        if key.startswith("steno.") and key.endswith(".decision")
    }
    return [f"{alias}: {decision}" for alias, decision in sorted(found.items())]


def _when(version: "ModelVersion") -> str:
    return version.created.astimezone().strftime("%Y-%m-%d %H:%M")


def _wer(version: "ModelVersion") -> str:
    return "–" if version.wer is None else f"{version.wer:.2%}"


def _measured(version: "ModelVersion") -> list[str]:
    """``dev_wer 12.3 % (11.0–13.9)``: each rate that was measured, with its interval if that was too."""
    metrics = {key.removeprefix("final_"): value for key, value in version.metrics.items()}
    lines = []
    for key, value in sorted(metrics.items()):
        if key.endswith(("_low", "_high")):
            continue
        low, high = metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
        interval = "" if low is None or high is None else f" ({100 * low:.1f}–{100 * high:.1f})"
        lines.append(f"{key} {100 * value:.1f} %{interval}" if key.endswith(("wer", "cer")) else f"{key} {value:.4g}")
    return lines
