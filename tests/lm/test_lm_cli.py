"""`steno lm` as its user meets it."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Steno = Callable[..., Any]


@pytest.fixture
def built(steno: Steno, novel: Path, tmp_path: Path) -> Path:
    path = tmp_path / "lm.bin"
    assert steno("lm", "build", novel, "-o", path, "--order", 3).code == 0
    return path


def test_build_tells_what_it_made(steno: Steno, novel: Path, tmp_path: Path) -> None:
    path, arpa = tmp_path / "lm.bin", tmp_path / "lm.arpa.gz"
    ran = steno("lm", "build", novel, "-o", path, "--order", 3, "--prune", "0,0,1", "--vocab", 500, "--arpa", arpa)
    assert (ran.code, ran.err) == (0, "")
    assert "110 sentences, 2,759 words" in ran.out
    assert "500 words; " in ran.out
    assert str(path) in ran.out.replace("\n", "")
    assert path.is_file()
    assert arpa.is_file()
    assert not list(tmp_path.glob("*.partial"))


def test_text_comes_from_standard_input_too(steno: Steno, novel: Path, built: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    ran = steno("lm", "build", "-", "-o", other, "--order", 3, stdin=novel.read_bytes())
    assert ran.code == 0
    assert other.read_bytes() == built.read_bytes()


def test_orders_that_flashlight_cannot_read_are_noted(steno: Steno, novel: Path, tmp_path: Path) -> None:
    ran = steno("lm", "build", novel, "-o", tmp_path / "c.bin", "--order", 8, "--units", "characters")
    assert ran.code == 0
    assert "reads orders up to 6" in ran.out


def test_score_tells_perplexity_and_what_is_unknown(steno: Steno, built: Path, novel: Path, tmp_path: Path) -> None:
    own = steno("lm", "score", built, novel)
    assert own.code == 0
    assert "110 sentences, 2,759 words" in own.out
    assert "0 (0.00%)" in own.out
    other = tmp_path / "other.txt"
    other.write_text("it was the author\nzyzzyva\n", encoding="utf-8")
    ran = steno("lm", "score", built, other, "--format", "json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert (found["sentences"], found["tokens"], found["unknown"], found["unknown_rate"]) == (2, 5, 1, 0.2)
    first, second = found["per_sentence"]
    assert (first["line"], first["text"], first["unknown"]) == (1, "it was the author", 0)
    assert (second["line"], second["unknown"], second["file"]) == (2, 1, str(other))
    total = first["log10"] + second["log10"]
    assert found["perplexity"] == pytest.approx(10 ** (-total / 7))
    assert found["perplexity_of_known"] == pytest.approx(10 ** (-(total - second["log10_unknown"]) / 6))
    assert math.isfinite(second["log10_unknown"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--order", "0"], "order 0"),
        (["--order", "1"], "KenLM's binary form starts at order 2"),
        (["--prune", "0,2,1"], "prune 0,2,1: falls"),
        (["--prune", "1,2"], "does not start with 0"),
        (["--prune", "0,0,0,0,0"], "more thresholds than the order"),
        (["--prune", "0,x"], "--prune 0,x: is not a list of counts"),
        (["--prune", "0,-1"], "is not a list of counts"),
        (["--prune", "0", "0", "1"], "--prune 0,0,1"),
        (["--vocab", "0"], "leaves no word"),
        (["--alphabet", "äöü"], "does not fit the alphabet"),
        (["--arpa", "x.bin"], "is no name of an ARPA file"),
        (["absent.txt"], "absent.txt: No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_build_refuses_what_cannot_be(
    arguments: list[str], told: str, steno: Steno, novel: Path, tmp_path: Path
) -> None:
    ran = steno("lm", "build", novel, *arguments, "-o", tmp_path / "lm.bin")
    assert ran.code == 2
    assert told in ran.err
    assert "Traceback" not in ran.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-o", "lm.txt"], "lm.txt: does not say which form"),
        (["-o", "absent/lm.bin"], "absent: no such folder"),
        (["-o", "lm.arpa", "--compact"], "no compact ARPA"),
    ],
)
def test_build_refuses_outputs_that_cannot_be(
    arguments: list[str], told: str, steno: Steno, novel: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = steno("lm", "build", novel, *arguments)
    assert ran.code == 2
    assert told in ran.err


def test_a_place_that_cannot_be_written_is_told(steno: Steno, novel: Path, tmp_path: Path) -> None:
    (tmp_path / "lm.bin").mkdir()
    ran = steno("lm", "build", novel, "-o", tmp_path / "lm.bin", "--order", 2)
    assert ran.code == 2
    assert "lm.bin: cannot be written" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["lm.bin"]


def test_empty_text_is_named(steno: Steno, built: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n", encoding="utf-8")
    for ran in (steno("lm", "build", empty, "-o", tmp_path / "x.bin"), steno("lm", "score", built, empty)):
        assert ran.code == 2
        assert f"{empty}: has no words" in ran.err


def test_score_refuses_what_is_no_model_or_does_not_fit(steno: Steno, built: Path, novel: Path) -> None:
    ran = steno("lm", "score", novel, novel)
    assert ran.code == 2
    assert "is no language model" in ran.err
    ran = steno("lm", "score", built, novel, "--alphabet", "ABC")
    assert ran.code == 2
    assert "does not fit the alphabet 'ABC'" in ran.err


def test_score_without_flashlight_names_the_extra(
    steno: Steno, built: Path, novel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str, *rest: object) -> None:
        if name.startswith("flashlight"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.startswith("flashlight")]:
        monkeypatch.delitem(sys.modules, name)
    finder = type("Absent", (), {"find_spec": staticmethod(absent)})
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    ran = steno("lm", "score", built, novel)
    assert ran.code == 2
    assert "pip install '.[lm]'" in ran.err
