"""Model references, promotion, and what is said when they do not fit."""

import sys
from datetime import UTC, datetime

import pytest

from steno.errors import MissingExtraError, ModelError, TrackingError
from steno.tracking import registry
from steno.tracking.promotion import Rule, promote
from steno.tracking.version import ModelVersion


@pytest.fixture(scope="module")
def models(embedded, tmp_path_factory):
    """Three versions of one model; their folders hold their number."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / "config.yaml").write_text(f"name: v{number}\n")
        registry.register(folder, "Speech", {"wer": number / 10, "cer": number / 20}, embedded)
    promote("Speech", 2, "production", uri=embedded)
    return embedded


def name_in(folder):
    return (folder / "config.yaml").read_text()


def test_promotion_moves_the_alias_and_remembers(models):
    first = promote("Speech", 1, uri=models)
    second = promote("Speech", 3, uri=models, rule=Rule(force=True))
    assert (first.previous, second.previous, second.alias) == (None, 1, "champion")
    assert registry.resolve("models:/Speech@champion", models).is_dir()
    newest, *_ = registry.show("Speech", models)
    assert newest.aliases == ("champion",)
    assert newest.tags["steno.champion.previous"] == "1"
    assert newest.tags["steno.champion.by"]
    assert newest.tags["steno.champion.at"].startswith("20")
    assert promote("Speech", 3, uri=models).previous == 3


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("models:/Speech/1", 1),
        ("models:/Speech/latest", 3),
        ("models:/Speech@production", 2),
        ("models:/Speech/Production", 2),
        ("models:/Speech/production", 2),
    ],
)
def test_references(models, reference, version):
    assert name_in(registry.resolve(reference, models)) == f"name: v{version}\n"


def test_a_legacy_stage_is_found_with_a_warning(models, client, caplog):
    client.transition_model_version_stage("Speech", "1", "Staging")
    assert name_in(registry.resolve("models:/Speech/Staging", models)) == "name: v1\n"
    assert "steno models promote Speech 1 --alias staging" in caplog.text


def test_list_gives_versions_aliases_and_wer(models):
    (model,) = [model for model in registry.list_models(models) if model.name == "Speech"]
    assert (model.versions, model.aliases["production"]) == (3, 2)
    assert model.latest is not None
    assert model.latest.wer == 0.3


def test_a_folder_needs_no_mlflow(model_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert registry.resolve(model_folder) == model_folder
    assert registry.resolve(str(model_folder)) == model_folder


def test_without_mlflow_a_reference_names_the_extra(models, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"'\.\[train\]"):
        registry.resolve("models:/Speech/1", models)


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("models:/Speach@champion", "no such model", "Did you mean Speech"),
        ("models:/Speech@produktion", r"it has: .*production.*Did you mean @production", "steno models promote"),
        ("models:/Speech@PRODUCTION", "Did you mean @production", "steno models promote"),
        ("models:/Speech/9", "no version 9", "3, 2, 1"),
        ("models:/Speech/Archived", "no alias 'archived'", "steno models promote"),
        ("runs:/0123456789abcdef0123456789abcdef/model", "not found", ""),
    ],
)
def test_what_is_not_there(models, reference, message, hint):
    with pytest.raises(TrackingError, match=message) as caught:
        registry.resolve(reference, models)
    assert hint in caught.value.hint


@pytest.mark.parametrize("reference", ["models:/", "models:/A/B/C", "runs:/x"])
def test_what_is_no_reference(reference):
    with pytest.raises(ModelError, match="not a reference"):
        registry.resolve(reference)


def test_what_is_no_model_folder(tmp_path):
    with pytest.raises(ModelError, match="no such model folder"):
        registry.resolve(tmp_path / "missing")
    with pytest.raises(ModelError, match=r"no config\.yaml"):
        registry.resolve(tmp_path)


def test_looking_does_not_make_a_store(tmp_path):
    with pytest.raises(TrackingError, match="no store"):
        registry.list_models("sqlite:///mlflow.db")
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a@b", "it's"])
def test_names_that_no_reference_could_spell(name, model_folder, embedded):
    with pytest.raises(TrackingError, match="cannot be the name"):
        registry.register(model_folder, name, {}, embedded)


@pytest.mark.parametrize(
    ("metrics", "wer"),
    [
        ({"cer": 0.1}, None),
        ({"final_dev_wer": 0.2, "final_test_wer": 0.3, "final_test_wer_low": 0.25}, 0.3),
        ({"wer": 0.4, "test_wer": 0.3}, 0.4),
    ],
)
def test_which_metric_is_the_wer_of_a_version(metrics, wer):
    assert ModelVersion("Speech", 1, datetime.now(UTC), metrics=metrics).wer == wer
