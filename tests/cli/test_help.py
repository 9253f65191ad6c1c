"""The command line as such: help without loading anything, and mistakes without tracebacks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from steno import __version__
from steno.cli.app import app

HEAVY = ("torch", "mlflow", "numpy", "soundfile", "onnxruntime", "rapidfuzz")


def names(command: object, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [words]
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            found += names(child, (*words, name))
    return found


COMMANDS = names(typer.main.get_command(app))


def steno(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The installed command, in a process of its own."""
    program = "import sys; from steno.cli import main; sys.argv[0] = 'steno'; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_every_command_is_there() -> None:
    expected = {
        *("train", "transcribe", "validate", "evaluate", "doctor", "data download", "data prepare", "data synth"),
        *("data check", "models list", "models show", "models promote", "track", "track sync"),
    }
    assert expected <= {" ".join(words) for words in COMMANDS}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_says_what_a_command_does(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*words, "--help"], prog_name="steno", env={"COLUMNS": "80"})
    assert done.exit_code == 0
    usage, about = done.output.split("\n\n")[:2]
    assert usage.startswith(f"Usage: {' '.join(('steno', *words))} ")
    assert about.strip().endswith(".")


def test_help_loads_nothing_heavy() -> None:
    """All of the helps in one fresh process, as starting one for each would take longer than all other tests."""
    program = f"""
import io, json, sys
from contextlib import redirect_stdout
from steno.cli import main
loaded = {{}}
for words in {COMMANDS!r}:
    sys.argv = ["steno", *words, "--help"]
    with redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            assert not end.code, words
    loaded[" ".join(words)] = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps(loaded))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {" ".join(words): [] for words in COMMANDS}


def test_the_version_is_the_package_s(tmp_path: Path) -> None:
    done = steno("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"steno {__version__}\n")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_option_that_does_not_exist_is_refused(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*words, "--no-such-option"], prog_name="steno")
    assert done.exit_code == 2
    assert "--no-such-option" in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no-such-command"], "no-such-command"),
        (["train", "absent.yaml"], "absent.yaml: No such file or directory"),
        (["data", "check", "absent.jsonl"], "steno data prepare"),
        (["data", "prepare", "absent", "--out", "m.jsonl"], "absent: no such file or folder"),
        (["data", "download", "klingon", "--part", "x", "--to", "."], "no corpus 'klingon'"),
        (["evaluate", "--model", "absent", "--data", "absent.jsonl"], "absent.jsonl"),
        (["transcribe", "a.wav", "--model", "absent"], "absent: no such model folder"),
        (["models", "list", "--uri", "nonsense"], "nonsense: not the address of a tracking store"),
        (["track", "sync", "absent"], "absent: no tracked run here"),
        (["validate", "--model", "absent", "--file-id", "1-2-3"], "--data"),
        (
            ["export", "absent", "--to", "s3://bucket/model"],
            "s3://bucket/model: is written to a folder",
        ),
        (["transcribe", "a.wav", "--model", "absent", "--out", "az://c/out"], "--out az://c/out: is written to"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_told_with_exit_code_2_and_no_traceback(arguments: list[str], told: str, tmp_path: Path) -> None:
    done = steno(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_disk_that_takes_nothing_more_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    import errno

    from steno.cli.app import guarded

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/x.json")

    with pytest.raises(SystemExit) as stop:
        guarded(full)
    assert stop.value.code == 2
    assert "error: out/x.json: No space left on device" in capsys.readouterr().err
