"""Neural language models: what they learn, that training goes on where it stopped, and the file they become."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from steno.errors import LanguageModelError, ModelError
from steno.models.language_model import TransformerLM
from steno.runtime.neural_lm import NeuralLM
from steno.training.interrupt import Interrupted
from steno.training.language_model import LanguageModelPlan, LanguageModelTraining, Report

ALPHABET = " abcd"
OPTIONS = ("--no-track", "--alphabet", ALPHABET, "--pieces", 12, "--size", 64, "--layers", 1, "--batch", 8)
PLAN = LanguageModelPlan(pieces=12, size=64, layers=1, epochs=0.5, batch=8)


def sentence(choice: random.Random) -> str:
    """Its last word is decided by its first, which no n-gram of order 4 sees."""
    first, last = choice.choice([("ab", "ba"), ("cd", "dc")])
    return " ".join([first, *(choice.choice("abcd") for _ in range(5)), last])


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    choice = random.Random(1)
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("".join(sentence(choice) + "\n" for _ in range(3000)))
    return path


@pytest.fixture(scope="module")
def dev(text: Path) -> Path:
    choice = random.Random(2)
    path = text.with_name("dev.txt")
    path.write_text("".join(sentence(choice) + "\n" for _ in range(100)))
    return path


def test_it_learns_what_n_grams_cannot_see(steno: Callable[..., Any], text: Path, dev: Path, tmp_path: Path) -> None:
    ran = steno(
        "lm", "train", text, "-o", tmp_path / "neural.onnx", "--dev", dev, "--epochs", 12, "--lr", 0.01, *OPTIONS
    )
    assert ran.code == 0, ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["neural.onnx"]
    found = NeuralLM(tmp_path / "neural.onnx")
    right, wrong = found.log_likelihoods(["ab a c b d a ba", "ab a c b d a dc"])
    assert right > wrong + 2
    # Nobody can tell the first word (2) nor the five others (4 each); the last one follows.
    best = (2 * 4**5) ** (1 / 7)
    perplexity = float(ran.out.split("perplexity  ")[1].split()[0])
    assert best * 0.97 < perplexity < best * 1.15
    told = steno("lm", "score", tmp_path / "neural.onnx", dev, "--alphabet", ALPHABET)
    assert told.code == 0, told.err
    assert float(told.out.split("without the unknown ")[1]) == pytest.approx(perplexity, rel=0.02)


def test_a_text_is_the_same_beside_others(steno: Callable[..., Any], text: Path, tmp_path: Path) -> None:
    ran = steno("lm", "train", text, "-o", tmp_path / "neural.onnx", "--epochs", 0.05, *OPTIONS)
    assert ran.code == 0, ran.err
    found = NeuralLM(tmp_path / "neural.onnx")
    texts = ["ab a", "", "cd " * 200 + "dc", "d"]
    np.testing.assert_allclose(found.log_likelihoods(texts), [found.log_likelihoods([one])[0] for one in texts])
    assert found.log_likelihoods([]).shape == (0,)
    assert found.log_likelihoods([""])[0] == 0
    with pytest.raises(LanguageModelError, match="lacks e"):
        found.check_fits(" abcde")
    found.check_fits(ALPHABET)


def test_what_comes_later_is_not_seen() -> None:
    torch.manual_seed(0)
    model = TransformerLM(20, 64, 2).eval()
    for weights in model.parameters():  # it begins as one that changes nothing
        torch.nn.init.normal_(weights, std=0.1)
    labels = torch.randint(1, 20, (3, 30))
    whole = model(labels)
    torch.testing.assert_close(model(labels[:, :11]), whole[:, :11])
    padded = torch.nn.functional.pad(labels[:, :11], (0, 4))
    torch.testing.assert_close(model(padded), torch.nn.functional.pad(whole[:, :11], (0, 4)))
    everything = torch.arange(20)[:, None]
    begins = model.logits(torch.zeros(1, 1, dtype=torch.long))[0, 0].softmax(0)
    torch.testing.assert_close(model(everything)[1:, 0].exp(), begins[1:])


def test_training_goes_on_where_it_stopped(text: Path, tmp_path: Path) -> None:
    whole = LanguageModelTraining([text], ALPHABET, PLAN).fit()
    kept, reports = tmp_path / "kept", list[Report]()
    stopped = LanguageModelTraining([text], ALPHABET, PLAN, kept=kept)
    with pytest.raises(Interrupted):
        stopped.fit(reports.append, lambda: stopped.done == 5)
    resumed = LanguageModelTraining([text], ALPHABET, PLAN, kept=kept, resume=True)
    assert resumed.done == 5
    found = resumed.fit(reports.append)
    assert [report.step for report in reports] == sorted({report.step for report in reports})
    for name, weights in whole.model.state_dict().items():
        torch.testing.assert_close(found.model.state_dict()[name], weights)
    with pytest.raises(LanguageModelError, match="another seed"):
        LanguageModelTraining([text], ALPHABET, replace(PLAN, seed=7), kept=kept, resume=True)
    with pytest.raises(ModelError, match="not a checkpoint"):
        LanguageModelTraining([text], ALPHABET, PLAN, kept=tmp_path / "none", resume=True)


def test_bad_input_is_named(steno: Callable[..., Any], text: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.txt"
    short.write_text("ab cd\n")
    for arguments, told in (
        ((short, "-o", tmp_path / "a.onnx"), "less than the 128"),
        ((text, "-o", tmp_path / "a.bin"), "a.onnx"),
        ((text, "-o", tmp_path / "none" / "a.onnx"), "there is no folder"),
        ((text, "-o", tmp_path / "a.onnx", "--size", 100), "multiple of 64"),
        ((text, "-o", tmp_path / "a.onnx", "--pieces", 3), "--pieces 3"),
        ((tmp_path / "none.txt", "-o", tmp_path / "a.onnx"), "none.txt"),
        ((text, "-o", tmp_path / "a.onnx", "--resume"), "Start without --resume"),
        ((text, "-o", tmp_path / "a.onnx", "--dev", tmp_path / "no-dev.txt"), "no-dev.txt"),
        ((text, "-o", tmp_path / "a.onnx", "--lr", 1e30), "lower --lr"),
    ):
        ran = steno("lm", "train", *arguments, *OPTIONS[:3], *(() if "--pieces" in arguments else OPTIONS[3:5]))
        assert ran.code == 2, arguments
        assert told in ran.err
    # The last one said that it can go on from before its loss was lost.
    assert {path.name for path in tmp_path.iterdir()} == {"short.txt", "a.onnx.training"}
    for model in (tmp_path / "none.onnx", short.rename(tmp_path / "text.onnx")):
        ran = steno("lm", "score", model, text)
        assert ran.code == 2
        assert model.name in ran.err
