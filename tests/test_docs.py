"""The documentation is true: its reference is up to date, its links lead somewhere, its commands exist."""

import contextlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer import TyperException
from typer.core import TyperGroup

from steno.cli.app import app
from steno.config import read_yaml
from steno.errors import RecipeError
from steno.training.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
RECIPES = sorted(ROOT.glob("recipes/*.yaml"))


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def make_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "scripts" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date() -> None:
    for path, text in make_reference().pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{page_id(path)} is not up to date: run `make docs`"


# ---- links -----------------------------------------------------------------------------------------------------


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    yield from re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_local_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page_id(page)}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page_id(page)}: {link}"


# ---- commands --------------------------------------------------------------------------------------------------


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Each command line of the page's blocks, with the first line of its output where the block shows it."""
    for language, body in re.findall(r"```(\w*)\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        lines = body.replace("\\\n", " ").splitlines()
        if language == "sh":
            yield from ((line, "") for line in lines if line.strip())
        elif language == "console":
            for line, following in zip(lines, [*lines[1:], ""], strict=True):
                if line.startswith("$ "):
                    yield line[2:], following


def steno_lines(page: Path) -> Iterator[tuple[list[str], str]]:
    """The arguments of every `steno …` in a block or in a line of text, and the first line of its output."""
    inline = [] if page.parent.name == "reference" else re.findall(r"`(steno [^`]*)`", page.read_text(encoding="utf-8"))
    for line, output in (*blocks(page), *((line, "") for line in inline)):
        words = shlex.split(line, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if "--no-python" in words:  # torchrun
            words = words[words.index("--no-python") + 1 :]
        if words and words[0] == "steno":
            yield [word for word in words[1:] if word != "…"], output


def parse(words: list[str]) -> None:
    """Parse a command line as Steno would.

    Raises:
        TyperException: a command or an option does not exist, or an argument is missing or not valid.
    """
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    with contextlib.suppress(typer.Exit):  # --help and --version
        command.make_context("steno", words)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_line_is_one(page: Path) -> None:
    for words, _ in steno_lines(page):
        try:
            parse(words)
        except TyperException as error:
            if "Missing" in str(error) and not any(word.startswith("-") for word in words):
                continue  # a command that is only named: `steno data check`
            pytest.fail(f"{page_id(page)}: steno {shlex.join(words)}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_make_target_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = [*re.findall(r"`make ([a-z]+)", text), *re.findall(r"^(?:\$ )?make ([a-z]+)", text, flags=re.MULTILINE)]
    assert set(named) <= targets


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_entry_point_and_its_parameters_exist(page: Path) -> None:
    entry_points = read_yaml(ROOT / "MLproject", RecipeError)["entry_points"]
    for line, _ in blocks(page):
        words = shlex.split(line, comments=True)
        if words[:2] == ["mlflow", "run"]:
            parameters = entry_points[words[words.index("-e") + 1]].get("parameters", {})
            given = {after.split("=")[0] for word, after in pairwise(words) if word == "-P"}
            assert given <= set(parameters), line


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_path_of_the_project_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"(?<![\w/.])((?:steno|recipes|docs|scripts|tests|benchmarks)/[\w./-]*\w/?)", text):
        assert (ROOT / name).exists(), f"{page_id(page)}: {name}"


@pytest.mark.parametrize("recipe", RECIPES, ids=page_id)
def test_every_recipe_is_valid(recipe: Path) -> None:
    assert load_recipe(recipe).name == recipe.stem


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_overrides_in_command_lines_are_keys_of_recipes(page: Path) -> None:
    for words, output in steno_lines(page):
        if words[:1] != ["train"] or len(words) < 2 or not (ROOT / words[1]).is_file():
            continue
        overrides = [word for word in words[2:] if re.match(r"[a-z_.]+=", word)]
        if output.startswith("error: "):
            with pytest.raises(RecipeError) as told:
                load_recipe(ROOT / words[1], overrides)
            assert output == f"error: {told.value.message}".replace(f"{ROOT}/", "")
        else:
            load_recipe(ROOT / words[1], overrides)
