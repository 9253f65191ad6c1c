"""The rooms: who may import whom, and what the light parts never load. The picture is docs/architecture.md."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import steno

PACKAGE = Path(steno.__file__).parent

BASE = frozenset({"errors", "config", "cores", "text", "textfile", "verbalize", "fragments", "audio", "storage"})
SETTINGS = frozenset({"features.config", "models.config", "data.config", "decoding.config"})
"""Typed settings, which need nothing but the base; whoever reads a model folder or a recipe needs them."""

MAY_IMPORT = {
    "errors": frozenset(),
    "config": {"errors"},
    "cores": frozenset(),
    "text": {"errors", "config"},
    "fragments": frozenset(),
    "verbalize": frozenset(),
    "textfile": {"errors"},
    "storage": {"errors"},
    "audio": {"errors", "fragments", "storage"},
    "levels": {"audio"},
    "espeak": {"errors", "audio"},
    "phonemes": {"errors", "config", "espeak", "textfile"},
    "features": BASE,
    "models": BASE | {"features", "phonemes"},
    "data": BASE | {"espeak", "levels", "phonemes"},
    "lm": BASE,
    "decoding": BASE | {"lm", "phonemes"},
    "runtime": BASE | {"decoding", "phonemes"},
    "batch": BASE | {"data.manifest", "data.shards.layout", "decoding", "runtime"},
    "evaluation": BASE | {"data.manifest", "decoding", "levels", "phonemes", "runtime"},
    "export": BASE | {"models", "data.manifest", "decoding", "runtime", "evaluation", "tracking"},
    "tracking": BASE | {"data.manifest", "runtime", "evaluation"},
    "serving": BASE | {"decoding", "runtime"},
    "labelling": BASE
    | {"data.manifest", "data.check", "decoding", "runtime", "evaluation.wer", "evaluation.alignment", "serving"},
    "training": BASE
    | {"models", "features", "data", "decoding", "lm", "phonemes", "runtime", "evaluation", "tracking"}
    | {"export.folder", "export.language_model", "export.torch_model"},
    "doctor": BASE | {"data.synth", "espeak", "tracking.store"},
}
"""Rooms, and single files of the package, from the bottom to the top."""

TOP = {"cli", "__main__"}
"""May import everything."""

MAY_LOAD = {
    "torch": (
        "steno.features.",
        "steno.models.",
        "steno.training.",
        "steno.export.",
        "steno.data.loading",
        "steno.doctor",
    ),
    "lightning_fabric": ("steno.training.",),
    "matplotlib": ("steno.training.", "steno.tracking."),
    "mlflow": ("steno.tracking.",),
    "flashlight": ("steno.decoding.beam", "steno.lm."),
    "espeakng_loader": ("steno.espeak",),
    "optuna": ("steno.training.search", "steno.evaluation.tuning"),
    "sentencepiece": ("steno.training.pieces",),
    **dict.fromkeys(("adlfs", "fsspec", "s3fs", "boto3", "botocore"), ("steno.storage.",)),
    "transformers": ("steno.models.wav2vec2",),
    "sounddevice": ("steno.runtime.microphone",),
    **dict.fromkeys(("pyarrow", "ray"), ("steno.batch.",)),
}
"""What is not in the base install, and who may import it, be it inside a function."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(("steno", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from steno.data import config` names a module, `from steno.text import words` does not; both fit.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_arrows_point_downwards_only() -> None:
    wrong = []
    for name, tree in modules():
        room = name.split(".")[1] if "." in name else ""
        if room in ("", *TOP):
            continue
        allowed = {f"steno.{other}" for other in (*MAY_IMPORT[room], *SETTINGS, room, "__version__")}
        for target in imported(tree):
            if target.startswith("steno.") and not any(
                target == other or target.startswith(f"{other}.") for other in allowed
            ):
                wrong.append(f"{name} imports {target}")
    assert not wrong


def test_every_room_is_in_the_rules_and_in_the_picture() -> None:
    rooms = {name.split(".")[1] for name, _ in modules() if "." in name} - TOP
    assert rooms == set(MAY_IMPORT)
    picture = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    for room in (*rooms, *TOP):
        assert f"`steno/{room}/`" in picture or f"`steno/{room}.py`" in picture


@pytest.mark.parametrize("heavy", MAY_LOAD)
def test_only_some_rooms_know_the_heavy_libraries(heavy: str) -> None:
    for name, tree in modules():
        if any(f"{name}.".startswith(allowed) or name.startswith(allowed) for allowed in MAY_LOAD[heavy]):
            continue
        assert not any(target == heavy or target.startswith(f"{heavy}.") for target in imported(tree)), name


def test_the_base_loads_neither_torch_nor_mlflow() -> None:
    light = (
        "steno.runtime.files, steno.runtime.streaming, steno.runtime.microphone, "
        "steno.serving.server, steno.serving.front, steno.serving.worker, "
        "steno.evaluation.measure, steno.data.manifest, steno.data.check, "
        "steno.data.corpora.prepare, "
        "steno.data.find, steno.data.download, steno.data.synth, steno.training.recipe, steno.tracking.registry, "
        "steno.doctor"
    )
    assert loaded_by(f"import {light}") & {"torch", "mlflow", "lightning_fabric", "matplotlib"} == set()


def test_the_command_line_loads_nothing_that_takes_time() -> None:
    heavy = {"torch", "mlflow", "numpy", "soundfile", "onnxruntime", "pydantic", "yaml", "rapidfuzz"}
    assert loaded_by("import steno.cli") & heavy == set()


def loaded_by(program: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after a program."""
    program += "; import sys; print(' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
