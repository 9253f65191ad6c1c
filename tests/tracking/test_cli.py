"""`steno models` and `steno track`."""

import socket

import pytest
from typer.testing import CliRunner

from steno.cli.app import app
from steno.errors import TrackingError
from steno.tracking import registry
from steno.tracking.server import Server, ServerOptions, command


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


def test_list_show_promote(embedded, model_folder):
    registry.register(model_folder, "Shown", {"wer": 0.125, "cer": 0.05}, embedded)
    promoted = run("models", "promote", "Shown", "1", "--uri", embedded)
    assert "version 1 of Shown is now @champion" in promoted.output
    assert "measured    wer 12.5 % when it was made" in promoted.output
    listed = run("models", "list", "--uri", embedded).output
    assert "Shown" in listed
    assert "champion → 1" in listed
    shown = run("models", "show", "Shown", "--uri", embedded).output
    assert "wer 12.5 %" in shown
    assert "cer 5.0 %" in shown


def test_the_first_version_is_promoted_with_what_is_known_of_it(embedded, model, tones):
    registry.register(model, "First", {}, embedded)
    bare = run("models", "promote", "First", "1", "--alias", "bare", "--uri", embedded)
    assert "nothing is known of it; --data MANIFEST measures it" in bare.output
    data = str(tones / "dev.jsonl")
    measured = run("models", "promote", "First", "1", "--data", data, "--uri", embedded)
    assert "WER         " in measured.output
    assert "95 % interval" in measured.output
    assert "dev.jsonl" in measured.output


def test_an_unknown_version_is_a_users_mistake(embedded):
    done = run("models", "promote", "Nobody", "1", "--uri", embedded)
    assert isinstance(done.exception, TrackingError)


def test_sync_of_a_folder_without_runs(tmp_path):
    done = run("track", "sync", str(tmp_path))
    assert isinstance(done.exception, TrackingError)


def test_the_servers_defaults(tmp_path):
    line = " ".join(command(ServerOptions(tmp_path)))
    assert "--host 127.0.0.1 --port 5000 --workers 1" in line
    assert f"--artifacts-destination {tmp_path / 'mlartifacts'}" in line
    assert not ServerOptions(tmp_path).exposed
    assert ServerOptions(tmp_path, host="0.0.0.0").exposed
    assert ServerOptions(tmp_path, host="::1").uri == "http://[::1]:5000"


def test_a_port_in_use_is_a_clear_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(TrackingError, match="cannot listen") as caught:
            Server(ServerOptions(tmp_path, port=taken.getsockname()[1]))
    assert "--port" in caught.value.hint


def test_a_folder_is_registered_as_it_is(embedded, model_folder, tmp_path):
    done = run("models", "register", str(model_folder), "Tuned", "--uri", embedded)
    assert done.exit_code == 0, done.output
    assert "registered as Tuned version 1" in done.output
    again = run("models", "register", "models:/Tuned/1", "Tuned", "--uri", embedded)
    assert "registered as Tuned version 2" in again.output
    found = registry.resolve("models:/Tuned/2", embedded)
    assert (found / "config.yaml").read_bytes() == (model_folder / "config.yaml").read_bytes()
    assert isinstance(
        run("models", "register", str(model_folder), "no/name", "--uri", embedded).exception, TrackingError
    )
