"""Writes docs/reference from the code: commands from their help, recipes from their types, the API from docstrings.

Nothing here depends on the terminal or the Python version, so that a test can compare what is committed.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.core import TyperGroup
from typer.testing import CliRunner

from steno.cli.app import app
from steno.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
NOTE = "<!-- Written by `make docs` from the code; do not edit. -->\n"
WIDTH = "80"

API = (
    *("audio", "text", "errors"),
    *("data.manifest", "data.corpora.prepare", "data.find", "data.check.settings", "data.check.report"),
    *("data.check.fix", "data.synth.corpus", "data.download.librispeech"),
    *("runtime.recognizer", "runtime.files", "runtime.folder"),
    *("evaluation.wer", "evaluation.score", "evaluation.bootstrap", "evaluation.measure"),
    *("features.frontend", "models.registry", "models.export"),
    *("training.recipe", "training.run"),
    *("tracking.tracker", "tracking.registry", "tracking.version"),
    "doctor",
)
"""Modules that other programs may build on."""


def pages() -> dict[Path, str]:
    """Every page of the reference by its path."""
    folder = ROOT / "docs" / "reference"
    return {folder / "cli.md": cli_page(), folder / "recipe.md": recipe_page(), folder / "api.md": api_page()}


# ---- commands --------------------------------------------------------------------------------------------------


def cli_page() -> str:
    """The help of every command, as it is printed."""
    parts = [
        f"# Commands\n\n{NOTE}",
        "Exit codes: 0 done; 1 done, and something was found wrong (see each command); 2 a mistake in what was "
        "given, told without a traceback; 130 stopped with Ctrl-C.\n",
    ]
    for words in command_names(typer.main.get_command(app)):
        result = CliRunner().invoke(app, [*words, "--help"], prog_name="steno", env={"COLUMNS": WIDTH})
        text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        parts.append(f"## {' '.join(['steno', *words])}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def command_names(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each command and group, ``("data", "check")``."""
    yield words
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from command_names(child, (*words, name))


# ---- recipes ---------------------------------------------------------------------------------------------------


def recipe_page() -> str:
    """Every key of a recipe with its type, default and meaning."""
    parts = [
        f"# Keys of a recipe\n\n{NOTE}",
        "A recipe is a YAML file; a key that it leaves out has its default. Each key can also be set on the "
        "command line by its dotted name: `steno train RECIPE training.epochs=3`. Unknown keys are refused.\n",
        *_tables(Recipe, ""),
    ]
    return "\n".join(parts)


def _tables(kind: type[BaseModel], prefix: str) -> Iterator[str]:
    title = f"`{prefix.rstrip('.')}`" if prefix else "Top level"
    yield f"## {title}\n\n{_markdown(inspect.cleandoc(kind.__doc__ or ''))}\n"
    rows, inner = [], []
    for name, info in kind.model_fields.items():
        part = _model_in(info.annotation)
        if part is None:
            rows.append(f"| `{prefix}{name}` | {_type(info)} | {_default(info)} | {info.description or ''} |")
        else:
            inner.append((name, part, info))
            link = f"see [`{prefix}{name}`](#{(prefix + name).replace('.', '')})"
            rows.append(f"| `{prefix}{name}` | keys | {_default(info)} | {link} |")
    yield "| key | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    for name, part, _ in inner:
        yield from _tables(part, f"{prefix}{name}.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "**required**"
    value = info.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return ""
    if isinstance(value, BaseModel):
        return "its defaults"
    return "`" + _yaml(value) + "`"


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return repr(value) if (isinstance(value, str) and value != value.strip()) or value == "" else str(value)


def _type(info: FieldInfo) -> str:
    text = _type_name(info.annotation) + _bounds(info.metadata)
    return text.replace("|", "\\|")


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        metadata = [item for extra in arguments[1:] for item in (getattr(extra, "metadata", None) or [extra])]
        return _type_name(arguments[0]) + _bounds(metadata)
    if origin is Literal:
        return " | ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, UnionType):
        return " | ".join(_type_name(part) for part in arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_type_name(arguments[0])}"
    if origin is tuple:
        return "[" + ", ".join(_type_name(part) for part in arguments) + "]"
    names = {NoneType: "null", str: "text", int: "integer", float: "number", bool: "true | false", Path: "path"}
    return names[annotation]


def _bounds(metadata: list[Any]) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(item, name):g}"
        for item in metadata
        for name, sign in signs.items()
        if getattr(item, name, None) is not None
    ]
    return f" ({', '.join(found)})" if found else ""


# ---- the API ---------------------------------------------------------------------------------------------------


def api_page() -> str:
    """Public classes and functions, from the source itself: signatures as they are written."""
    parts = [
        f"# Python API\n\n{NOTE}",
        "What other programs may build on. Shapes are given with B the batch, N samples, T frames, F features "
        "and V labels; times in seconds, rates in Hz.\n",
        *(_module(name) for name in API),
    ]
    return "\n".join(parts)


def _module(name: str) -> str:
    path = ROOT / "steno" / f"{name.replace('.', '/')}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = [f"## steno.{name}\n", _doc(tree)]
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            parts += _class(node)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            parts += [f"### {node.name}\n", f"```python\n{_signature(node)}\n```\n", _doc(node)]
    return "\n".join(part for part in parts if part)


def _class(node: ast.ClassDef) -> Iterator[str]:
    yield f"### {node.name}\n"
    yield _doc(node)
    fields = [
        f"{ast.unparse(item)}"
        for item in node.body
        if isinstance(item, ast.AnnAssign) and not ast.unparse(item.target).startswith("_")
    ]
    init = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    if init:
        yield f"```python\n{_signature(init[0], name=node.name)}\n```\n"
    elif fields:
        yield "```python\n" + "\n".join(fields) + "\n```\n"
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
            decorators = {ast.unparse(decorator) for decorator in item.decorator_list}
            is_property = bool(decorators & {"property", "cached_property"})
            shown = f"{item.name}: {ast.unparse(item.returns)}" if is_property and item.returns else _signature(item)
            yield f"```python\n{shown}\n```\n"
            yield _doc(item)


def _signature(node: ast.FunctionDef, name: str | None = None) -> str:
    """As it is written; ``self`` and ``cls`` left out, an argument a line where it would be long."""
    arguments = node.args
    if arguments.args and arguments.args[0].arg in ("self", "cls"):
        arguments.args = arguments.args[1:]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and name is None else ""
    line = f"{name or node.name}({ast.unparse(arguments)}){returns}"
    if len(line) <= 100:
        return line
    rows = ",\n    ".join(_split(ast.unparse(arguments)))
    return f"{name or node.name}(\n    {rows},\n){returns}"


def _split(text: str) -> Iterator[str]:
    """The arguments of a signature, cut at the commas outside brackets."""
    depth, start = 0, 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            yield text[start:position].strip()
            start = position + 1
    yield text[start:].strip()


def _doc(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> str:
    text = ast.get_docstring(node)
    return _markdown(text) + "\n" if text else ""


def _markdown(text: str) -> str:
    """A docstring in Markdown: plain code marks, and lists of arguments and errors."""
    text = re.sub(r":(?:func|class|data|attr|meth|mod):`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"(.*?)\b(Args|Returns|Raises|Example):", line):
            section = heading[2]
            if heading[1].strip():
                lines += [heading[1].strip(), ""]
            lines += [f"{section}:", ""]
        elif section and line.startswith("    "):
            entry = re.fullmatch(r"    (\w[\w, ]*): (.*)", line)
            if section in ("Args", "Raises") and entry:
                lines.append(f"- `{entry[1]}`: {entry[2]}")
            elif section in ("Args", "Raises"):
                lines.append(f"  {line.strip()}")
            else:
                lines.append(line.strip())
        else:
            section = section if not line.strip() else ""
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
