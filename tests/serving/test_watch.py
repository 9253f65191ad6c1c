"""A server of a registered model, which follows its alias."""

import shutil
from pathlib import Path

import pytest
from running import Start
from waiting import wait_for

from steno.runtime.folder import read_config, write_config
from steno.tracking import registry
from steno.tracking.promotion import Rule, promote


def test_a_registered_model_has_its_name_and_follows_its_alias(
    model: Path, start: Start, wav: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    registry.register(model, "Speech", {"wer": 0.2}, uri)
    promote("Speech", 1, uri=uri)

    running = start("--watch", "--uri", uri, model="models:/Speech@champion")
    listed = running.client.get("/v1/models").json()["data"]
    assert [one["id"] for one in listed] == ["Speech", "tiny"]
    assert running.post(wav, model="Speech").json()["text"] == "ab cd"
    assert running.post(wav, model="tiny").json()["text"] == "ab cd"
    assert running.post(wav, model="Speach").status_code == 404

    better = tmp_path / "better"
    shutil.copytree(model, better)
    config = read_config(better)
    write_config(better, config.model_copy(update={"provenance": {**config.provenance, "note": "another"}}))
    registry.register(better, "Speech", {"wer": 0.1}, uri)
    promote("Speech", 2, uri=uri, rule=Rule(force=True))
    wait_for(lambda: running.client.get("/v1/models/Speech").json()["version"] != listed[0]["version"], 60)
    assert running.post(wav, model="Speech").json()["text"] == "ab cd"
