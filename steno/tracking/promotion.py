"""Promotion: a version gets an alias only with evidence that it is better, and the evidence stays with it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from steno.data.manifest import Manifest
from steno.errors import TrackingError
from steno.evaluation.analysis import analyse
from steno.evaluation.compare import Comparison, compare, p_text, points, signed
from steno.evaluation.measure import Evaluation, alphabet_of, evaluate
from steno.evaluation.normalization import Normalization, common_alphabet
from steno.evaluation.report import comparison_report, evaluation_report
from steno.runtime import Recognizer
from steno.storage import absolute, shown
from steno.tracking import environment, lookup, store
from steno.tracking.registry import resolve
from steno.tracking.reports import RunRecord, data_params, log_run
from steno.tracking.version import ModelVersion

if TYPE_CHECKING:
    from mlflow import MlflowClient

Decision = Literal["held", "first", "better", "not worse", "forced", "refused"]
"""``held``: it has the alias already; ``first``: no version had it."""

Measure = Callable[[Recognizer, Manifest, str, Normalization], Evaluation]

_ALIAS = re.compile(r"(?!v\d+$|latest$)[A-Za-z0-9_-]+", re.IGNORECASE)
_NEEDS = "Name a manifest to compare the two on with --data MANIFEST, or promote without evidence with --force."


@dataclass(frozen=True)
class Rule:
    """What is enough for an alias that another version has.

    With a margin of 0 the challenger must win, as :func:`steno.evaluation.compare.compare` has it: both tests
    find it better at the significance, two-sided; equal ones do not pass. With a larger margin, such as 0.01
    for one error in 100 words, it must not be worse by that much: the one-sided bound of the difference at the
    significance is below the margin.
    """

    significance: float = 0.05
    margin: float = 0.0
    normalization: str = "steno"
    force: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.significance <= 0.5:
            raise TrackingError(f"a significance of {self.significance:g} makes no sense", "Give one such as 0.05.")
        if not 0 <= self.margin < 1:
            raise TrackingError(f"a margin of {self.margin:g} makes no sense", "0.01 is one error in 100 words.")


@dataclass(frozen=True)
class Promotion:
    """What :func:`promote` decided and why; ``previous`` had the alias before, None if nothing had.

    ``comparison`` is of the holder and the version, in this order; ``measured`` is the version's own evaluation, None
    if there were no data; ``run_id`` is the run that has the evidence.
    """

    version: ModelVersion
    alias: str
    previous: int | None
    decision: Decision
    reason: str
    comparison: Comparison | None = None
    measured: Evaluation | None = None
    run_id: str | None = None

    @property
    def has_alias(self) -> bool:
        """Whether the version has the alias now."""
        return self.decision != "refused"


def promote(
    name: str,
    version: int,
    alias: str = "champion",
    *,
    data: Manifest | None = None,
    rule: Rule | None = None,
    uri: str | None = None,
    measure: Measure | None = None,
) -> Promotion:
    """Give a version an alias if it deserves it, and note on the version what was decided, by whom and why.

    The first version to get an alias gets it freely. Any other is compared with the holder on ``data``, both
    measured now and on this machine.

    Args:
        name: a registered model.
        version: the challenger.
        alias: what it is to get; MLflow's old stages are taken for aliases in lower case.
        data: utterances with text; needed where another version has the alias, unless the rule forces.
        rule: what is enough.
        uri: of the store.
        measure: evaluates a recogniser; the default is :func:`steno.evaluation.measure.evaluate`.

    Raises:
        TrackingError: no such model or version, a name that cannot be an alias, or no evidence to go by.
        ManifestError: the data have no text, or nothing of them can be decoded.
    """
    rule = rule or Rule()
    alias = alias.lower() if alias.lower() in lookup.STAGES else alias
    if not _ALIAS.fullmatch(alias):
        raise TrackingError(f"{alias!r} cannot be an alias", "Use letters, digits, dashes and underscores.")
    with lookup.registry(uri, f"promoting version {version} of {name}") as client:
        previous = lookup.holder(client, name, alias)
        challenger = lookup.chosen(lookup.versions_of(client, name), name, version)
        if previous == version:
            client.set_registered_model_alias(name, alias, str(version))  # it may have had the old stage only
            return Promotion(_now(client, name, version), alias, previous, "held", f"version {version} has it already")
        if previous is not None and data is None and not rule.force:
            raise TrackingError(f"version {previous} of {name} is @{alias}: is version {version} better?", _NEEDS)
        evaluations = _evaluations(challenger, previous, data, rule, uri, measure or _measure)
        comparison = None
        if len(evaluations) == 2:
            comparison = compare(evaluations, rule.significance)
            evaluations = list(comparison.evaluations)  # of what both could score
        decision = _decide(version, previous, comparison, rule)
        run_id = None
        if evaluations:
            address = store.tracking_uri(uri)
            run_id = _log(client, address, challenger, alias, evaluations, comparison, decision, rule)
        if decision[0] != "refused":
            client.set_registered_model_alias(name, alias, str(version))
        _note(client, challenger, alias, _notes(previous, decision, rule, evaluations, comparison, run_id))
        measured = evaluations[-1] if evaluations else None
        return Promotion(_now(client, name, version), alias, previous, *decision, comparison, measured, run_id)


def _measure(recognizer: Recognizer, manifest: Manifest, model: str, form: Normalization) -> Evaluation:
    return evaluate(recognizer, manifest, model=model, normalization=form)


def _evaluations(
    challenger: ModelVersion, holder: int | None, data: Manifest | None, rule: Rule, uri: str | None, measure: Measure
) -> list[Evaluation]:
    """The holder, if there is one, and the challenger, measured on the data, if they are given."""
    if data is None:
        return []
    numbers = [number for number in (holder, challenger.version) if number is not None]
    models = [f"models:/{challenger.name}/{number}" for number in numbers]
    recognizers = [Recognizer(resolve(model, uri)) for model in models]
    form = Normalization(rule.normalization, common_alphabet([alphabet_of(one) for one in recognizers]))
    return [
        measure(recognizer, data, model, form).checked() for recognizer, model in zip(recognizers, models, strict=True)
    ]


def _decide(version: int, holder: int | None, comparison: Comparison | None, rule: Rule) -> tuple[Decision, str]:
    if holder is None:
        return "first", f"no version had the alias before version {version}"
    if comparison is None:
        return "forced", f"version {version} took the place of version {holder} without evidence, by --force"
    (duel,) = comparison.duels
    bootstrap = duel.bootstrap
    old, new = (one.scores.wer for one in comparison.evaluations)
    rates = (
        f"WER {100 * new:.2f} % against {100 * old:.2f} % of version {holder}, difference "
        f"{signed(bootstrap.difference)} points (95 % interval {signed(bootstrap.interval.low)} to "
        f"{signed(bootstrap.interval.high)}), matched pairs {p_text(duel.matched_p)}, paired bootstrap "
        f"{p_text(duel.bootstrap_p)}"
    )
    if duel.winner == 1:
        return "better", f"version {version} is better: {rates}"
    bound = f"one-sided {100 * (1 - rule.significance):g} % bound {signed(bootstrap.upper)}"
    if rule.margin and bootstrap.upper < rule.margin:
        return "not worse", f"version {version} is not worse by {points(rule.margin)} points: {bound}; {rates}"
    if rule.margin:
        why = f"version {version} may be worse by {points(rule.margin)} points or more: {bound}; {rates}"
    elif duel.winner == 0:
        why = f"version {version} is worse: {rates}"
    elif not bootstrap.difference:
        why = f"version {version} is not better, they make equally many errors: {rates}"
    else:
        why = f"version {version} is not shown to be better at {rule.significance:g}: {rates}"
    return ("forced", f"by --force, although {why}") if rule.force else ("refused", why)


def _log(
    client: "MlflowClient",
    uri: str,
    challenger: ModelVersion,
    alias: str,
    evaluations: list[Evaluation],
    comparison: Comparison | None,
    decision: tuple[Decision, str],
    rule: Rule,
) -> str:
    """A run that has the evidence: both evaluations, the tests, the report; returns its id."""
    last = evaluations[-1]
    metrics = {"wer": last.scores.wer, "cer": last.scores.cer, "real_time_factor": last.real_time_factor}
    found: dict[str, Any] = {"decision": decision[0], "reason": decision[1], "alias": alias, "rule": vars(rule)}
    if comparison is None:
        analysis = analyse(last)
        found["evaluation"] = analysis.to_dict()
        html = evaluation_report(analysis)
    else:
        (duel,), holder = comparison.duels, comparison.evaluations[0].scores
        metrics |= {"holder_wer": holder.wer, "holder_cer": holder.cer, "difference": duel.bootstrap.difference}
        metrics |= {"difference_upper": duel.bootstrap.upper}
        metrics |= {"p_matched_pairs": duel.matched_p, "p_bootstrap": duel.bootstrap_p}
        found["comparison"] = comparison.to_dict()
        html = comparison_report(comparison)
    located = [lookup.locate(client, one.model) for one in evaluations]
    params = {"name": challenger.name, "version": challenger.version, "alias": alias, **vars(rule)}
    return log_run(
        client,
        uri,
        RunRecord(
            name=f"promote {challenger.name} {challenger.version} to {alias}",
            data=last,
            params=params | data_params(last),
            metrics=metrics,
            tags={
                "steno.kind": "promotion",
                "steno.decision": decision[0],
                "steno.reason": decision[1],
                "steno.model_name": challenger.name,
                "steno.model_version": str(challenger.version),
            },
            table={},
            json=("evidence.json", found),
            report=("evidence.html", html),
            models=[one.model_id for one in located if one.model_id],
        ),
    )


def _notes(
    previous: int | None,
    decision: tuple[Decision, str],
    rule: Rule,
    evaluations: list[Evaluation],
    comparison: Comparison | None,
    run_id: str | None,
) -> dict[str, str]:
    """What is noted on the version, by the last part of the tags' names."""
    notes = {
        "decision": decision[0],
        "reason": decision[1],
        "by": environment.tags(Path.cwd())["mlflow.user"],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "previous": "none" if previous is None else str(previous),
        "forced": str(decision[0] == "forced").lower(),
    }
    if run_id is None:
        return notes
    last = evaluations[-1]
    notes |= {
        "data": shown(absolute(last.data)),
        "digest": last.digest,
        "utterances": str(len(last.measured)),
        "normalization": last.normalization.name,
        "wer": _with_interval(last),
        "run": run_id,
    }
    if comparison is not None:
        duel = comparison.duels[0]
        low, high = duel.bootstrap.interval.low, duel.bootstrap.interval.high
        notes |= {
            "holder_wer": _with_interval(evaluations[0]),
            "difference": f"{duel.bootstrap.difference:.5f} ({low:.5f} to {high:.5f})",
            "test": "matched pairs sentence-segment word error test; paired bootstrap over utterances",
            "p_matched_pairs": f"{duel.matched_p:.3g}",
            "p_bootstrap": f"{duel.bootstrap_p:.3g}",
            "significance": f"{rule.significance:g}",
            "margin": f"{rule.margin:g}",
        }
    return notes


def _with_interval(evaluation: Evaluation) -> str:
    interval = evaluation.scores.wer_interval()
    return f"{evaluation.scores.wer:.5f} ({interval.low:.5f} to {interval.high:.5f})"


def _note(client: "MlflowClient", version: ModelVersion, alias: str, notes: dict[str, str]) -> None:
    """Write the notes as tags, which tell of the last decision, and add a line to the description, which tells all."""
    prefix = f"steno.{alias}."
    number = str(version.version)
    for key in version.tags:
        if key.startswith(prefix) and key.removeprefix(prefix) not in notes:
            client.delete_model_version_tag(version.name, number, key)
    for key, value in notes.items():
        client.set_model_version_tag(version.name, number, f"{prefix}{key}", value)
    before = client.get_model_version(version.name, number).description
    what = "refused as" if notes["decision"] == "refused" else "became"
    on = f", measured on {Path(notes['data']).name} (digest {notes['digest']})" if "data" in notes else ""
    line = f"- {notes['at']}, {notes['by']}: {what} **{alias}**, {notes['reason']}{on}"
    if "run" in notes:
        run = client.get_run(notes["run"])
        line += f"; [evidence](#/experiments/{run.info.experiment_id}/runs/{notes['run']})"
    client.update_model_version(version.name, number, f"{before}\n{line}" if before else line)


def _now(client: "MlflowClient", name: str, version: int) -> ModelVersion:
    versions = lookup.with_aliases(lookup.versions_of(client, name), lookup.known_aliases(client, name))
    return lookup.chosen(versions, name, version)
