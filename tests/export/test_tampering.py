"""A model folder that was tampered with is refused, and says why."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from steno.errors import ModelError
from steno.export.torch_model import load_model
from steno.runtime import Recognizer
from steno.runtime.folder import CONFIG, ONNX, WEIGHTS, digest, read_config


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


def configured(folder: Path, change: Callable[[dict], None]) -> None:
    data = yaml.safe_load((folder / CONFIG).read_text())
    change(data)
    (folder / CONFIG).write_text(yaml.safe_dump(data))


@pytest.mark.parametrize("name", ["weights.pkl", "model.pt", "x.PTH"])
def test_a_pickle_in_the_folder(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="pickle"):
        Recognizer(copy)


def test_a_pickle_under_the_name_of_the_weights(copy: Path) -> None:
    (copy / WEIGHTS).write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(ModelError, match="SHA-256"):
        load_model(copy, read_config(copy))
    configured(copy, lambda data: data["files"].update({WEIGHTS: digest(copy / WEIGHTS)}))
    with pytest.raises(ModelError, match="not the weights"):
        load_model(copy, read_config(copy))


def test_a_changed_graph(copy: Path) -> None:
    with (copy / ONNX).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="SHA-256"):
        Recognizer(copy)


@pytest.mark.parametrize("name", ["../lm.arpa", "/etc/passwd", "..", "a\\b"])
def test_a_name_that_leaves_the_folder(copy: Path, name: str) -> None:
    configured(copy, lambda data: data["files"].update({name: "0" * 64}))
    with pytest.raises(ModelError, match="not the name of a file in the folder"):
        Recognizer(copy)


def test_a_language_model_elsewhere(copy: Path) -> None:
    configured(copy, lambda data: data.update(decoding={"method": "beam", "lm": "../secret.arpa"}))
    with pytest.raises(ModelError, match="not the name of a file in the folder"):
        Recognizer(copy)


def test_a_link_that_leaves_the_folder(copy: Path, tmp_path: Path) -> None:
    shutil.move(copy / ONNX, tmp_path / "elsewhere.onnx")
    (copy / ONNX).symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(ModelError, match="leaves the model folder"):
        Recognizer(copy)
