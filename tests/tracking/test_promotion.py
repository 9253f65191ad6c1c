"""The gate: who gets an alias, who does not, and what stays with the version, in a real store with real models."""

import json
from pathlib import Path

import pytest
import tiny
from mlflow.artifacts import download_artifacts

from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.errors import ManifestError, TrackingError
from steno.tracking import registry
from steno.tracking.promotion import Rule, promote

GOOD, SAME, POOR = 1, 2, 3


@pytest.fixture(scope="module")
def gate(embedded, trained, tones, tmp_path_factory):
    """Three versions of Gate: a good one, the same again, and one that stopped after an epoch; and 20 utterances."""
    from steno.training.recipe import load_recipe
    from steno.training.run import train

    folder = tmp_path_factory.mktemp("gate")
    recipe = load_recipe(tiny.write_recipe(folder / "poor.yaml", tones, training={"epochs": 1}))
    poor = train(recipe, folder / "poor", display=tiny.Recorder(), tracked=False).model
    good = trained[0] / "model"
    for model in (good, good, poor):
        registry.register(model, "Gate", {}, embedded)
    return embedded, Manifest(tiny.corpus(folder, "gate", 20, seed=3))


def tags_of(uri, version, alias):
    found = next(v for v in registry.show("Gate", uri) if v.version == version)
    return {k.removeprefix(f"steno.{alias}."): v for k, v in found.tags.items() if k.startswith(f"steno.{alias}.")}


def holder(uri, alias):
    return next((v.version for v in registry.show("Gate", uri) if alias in v.aliases), None)


def test_the_first_is_promoted_and_measured(gate, client):
    uri, data = gate
    done = promote("Gate", GOOD, "first", data=data, uri=uri)
    assert (done.decision, done.previous, done.has_alias, holder(uri, "first")) == ("first", None, True, GOOD)
    tags = tags_of(uri, GOOD, "first")
    assert tags["decision"] == "first"
    assert tags["digest"] == data.digest
    assert float(tags["wer"].split()[0]) < 0.2
    assert "holder_wer" not in tags
    run = client.get_run(done.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["steno.decision"] == "first"


def test_without_data_the_first_is_promoted_and_the_second_is_not(gate):
    uri, _ = gate
    assert promote("Gate", POOR, "bare", uri=uri).decision == "first"
    assert "wer" not in tags_of(uri, POOR, "bare")
    with pytest.raises(TrackingError, match="is version 1 better") as caught:
        promote("Gate", GOOD, "bare", uri=uri)
    assert "--data" in caught.value.hint
    assert "--force" in caught.value.hint
    assert holder(uri, "bare") == POOR


def test_a_better_one_passes_and_keeps_its_evidence(gate, client):
    uri, data = gate
    promote("Gate", POOR, "better", uri=uri)
    done = promote("Gate", GOOD, "better", data=data, uri=uri)
    assert (done.decision, done.previous, holder(uri, "better")) == ("better", POOR, GOOD)
    tags = tags_of(uri, GOOD, "better")
    assert float(tags["wer"].split()[0]) < float(tags["holder_wer"].split()[0])
    assert float(tags["p_matched_pairs"]) < 0.05
    assert float(tags["p_bootstrap"]) < 0.05
    assert tags["forced"] == "false"
    assert tags["run"] == done.run_id
    assert {"by", "at", "test", "data", "normalization", "significance", "margin", "previous"} <= tags.keys()
    description = client.get_model_version("Gate", str(GOOD)).description
    assert "became **better**" in description
    assert f"/runs/{done.run_id}" in description


def test_a_worse_one_is_refused_and_that_is_kept_too(gate, client):
    uri, data = gate
    promote("Gate", GOOD, "worse", uri=uri)
    done = promote("Gate", POOR, "worse", data=data, uri=uri)
    assert (done.decision, done.has_alias, holder(uri, "worse")) == ("refused", False, GOOD)
    assert "version 3 is worse" in done.reason
    assert tags_of(uri, POOR, "worse")["decision"] == "refused"
    assert "refused as **worse**" in client.get_model_version("Gate", str(POOR)).description
    evidence = json.loads(
        Path(download_artifacts(run_id=done.run_id, artifact_path="evidence.json", tracking_uri=uri)).read_text()
    )
    assert evidence["decision"] == "refused"
    assert evidence["comparison"]["models"][0]["model"] == "models:/Gate/1"
    assert evidence["comparison"]["pairs"][0]["winner"] == "A"
    run = client.get_run(done.run_id)
    assert run.data.metrics["difference"] == pytest.approx(run.data.metrics["wer"] - run.data.metrics["holder_wer"])
    assert {path.path for path in client.list_artifacts(done.run_id)} >= {"evidence.json", "evidence.html"}
    assert len(run.inputs.model_inputs) == 2


def test_a_tie_is_refused_unless_a_margin_allows_it(gate):
    uri, data = gate
    promote("Gate", GOOD, "tie", uri=uri)
    done = promote("Gate", SAME, "tie", data=data, uri=uri)
    assert (done.decision, holder(uri, "tie")) == ("refused", GOOD)
    assert "equally many errors" in done.reason
    done = promote("Gate", SAME, "tie", data=data, uri=uri, rule=Rule(margin=0.02))
    assert (done.decision, holder(uri, "tie")) == ("not worse", SAME)
    assert tags_of(uri, SAME, "tie")["margin"] == "0.02"


def test_a_worse_one_does_not_pass_a_margin(gate):
    uri, data = gate
    promote("Gate", GOOD, "margin", uri=uri)
    done = promote("Gate", POOR, "margin", data=data, uri=uri, rule=Rule(margin=0.02))
    assert done.decision == "refused"
    assert "may be worse by 2.00 points" in done.reason


def test_force_is_recorded_with_its_evidence(gate):
    uri, data = gate
    promote("Gate", GOOD, "forced", uri=uri)
    done = promote("Gate", POOR, "forced", data=data, uri=uri, rule=Rule(force=True))
    assert (done.decision, holder(uri, "forced")) == ("forced", POOR)
    tags = tags_of(uri, POOR, "forced")
    assert tags["forced"] == "true"
    assert "by --force, although version 3 is worse" in tags["reason"]
    assert float(tags["wer"].split()[0]) > float(tags["holder_wer"].split()[0])
    # Force that was not needed is not called force; without data there is nothing but force.
    assert promote("Gate", GOOD, "forced", data=data, uri=uri, rule=Rule(force=True)).decision == "better"
    bare = promote("Gate", POOR, "forced", uri=uri, rule=Rule(force=True))
    assert (bare.decision, bare.run_id) == ("forced", None)
    assert "wer" not in tags_of(uri, POOR, "forced")  # the evidence of before is not this one's


def test_who_has_it_already_keeps_it(gate):
    uri, data = gate
    promote("Gate", GOOD, "held", uri=uri)
    assert promote("Gate", GOOD, "held", data=data, uri=uri).decision == "held"


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_version_in_the_old_stage_is_the_holder(gate, client):
    uri, _ = gate
    client.transition_model_version_stage("Gate", str(GOOD), "Archived")
    with pytest.raises(TrackingError, match="version 1 of Gate is @archived"):
        promote("Gate", POOR, "Archived", uri=uri)
    assert promote("Gate", GOOD, "Archived", uri=uri).decision == "held"
    assert holder(uri, "archived") == GOOD


@pytest.mark.parametrize("alias", ["v2", "latest", "a b", ""])
def test_what_cannot_be_an_alias(gate, alias):
    with pytest.raises(TrackingError, match="cannot be an alias"):
        promote("Gate", GOOD, alias, uri=gate[0])


@pytest.mark.parametrize("settings", [{"significance": 0.0}, {"significance": 0.9}, {"margin": -0.1}, {"margin": 2.0}])
def test_rules_that_make_no_sense(settings):
    with pytest.raises(TrackingError, match="makes no sense"):
        Rule(**settings)


def test_data_without_text_decide_nothing(gate, tmp_path):
    uri, data = gate
    rows = [Utterance(row.id, row.audio, row.duration) for row in data]
    write_manifest(tmp_path / "mute.jsonl", rows)
    promote("Gate", GOOD, "mute", uri=uri)
    with pytest.raises(ManifestError, match="no utterance has text"):
        promote("Gate", POOR, "mute", data=Manifest(tmp_path / "mute.jsonl"), uri=uri, rule=Rule(force=True))
    assert holder(uri, "mute") == GOOD


def test_the_command_line_says_why_and_exits_with_1(gate, steno):
    uri, data = gate
    assert steno("models", "promote", "Gate", GOOD, "--alias", "line", "--uri", uri).code == 0
    ran = steno("models", "promote", "Gate", POOR, "--alias", "line", "--data", data.path, "--uri", uri)
    assert ran.code == 1
    assert "refused: version 3 is worse: WER" in ran.err
    assert "@line stays version 1 of Gate" in ran.err
    ran = steno("models", "promote", "Gate", POOR, "--alias", "line", "--uri", uri)
    assert (ran.code, "--force" in ran.err) == (2, True)
    ran = steno("models", "promote", "Gate", POOR, "--alias", "line", "--margin", "0.1", "--force", "--uri", uri)
    assert (ran.code, "does nothing without --data" in ran.err) == (2, True)
    ran = steno("models", "promote", "Gate", POOR, "--alias", "line", "--force", "--uri", uri)
    assert ran.code == 0
    assert "version 3 of Gate is now @line (was version 1)" in ran.out
    assert "--force" in ran.out
