"""Typed configuration: strict models that refuse unknown keys and suggest the nearest one."""

import difflib
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from steno.errors import StenoError

Fraction = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1."""


Number = TypeVar("Number", int, float)


def _rising(pair: tuple[Number, Number]) -> tuple[Number, Number]:
    low, high = pair
    if low > high:
        raise ValueError(f"a range goes from the lower to the higher number: [{high:g}, {low:g}]")
    return pair


Range = Annotated[tuple[Number, Number], AfterValidator(_rising)]
"""From a number to one that is not lower."""


class Strict(BaseModel):
    """A frozen value whose unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Config = TypeVar("Config", bound=BaseModel)


def validate(kind: type[Config], data: Any, source: str, error: type[StenoError]) -> Config:
    """Read plain data into a typed value.

    Raises:
        error: with one line for each thing that is wrong: its key, what is wrong, the nearest key.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as problems:
        lines = [_explain(kind, problem) for problem in problems.errors()]
        raise error(f"{source}: " + "; ".join(lines)) from None


def read_yaml(path: Path, error: type[StenoError]) -> dict[str, Any]:
    """A YAML file whose top level is a mapping.

    Raises:
        error: the file is missing or is not such YAML; the line is named.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise error(f"{path}: {problem.strerror or problem}") from problem
    except UnicodeDecodeError:
        raise error(f"{path}: is not UTF-8 text") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise error(f"{where}: not valid YAML ({getattr(problem, 'problem', problem)})") from None
    if not isinstance(data, dict):
        raise error(f"{path}: is not a mapping of keys to values")
    return data


def _explain(kind: type[BaseModel], problem: Any) -> str:
    places = [str(part) for part in problem["loc"]]
    known = sorted(_keys(kind, tried=frozenset(places)))
    names = {part for name in known for part in name.split(".")}
    # Between the keys stands which of several kinds of value was tried, such as the architecture's name.
    keys = [part for part in places if part in names or part.isdigit()]
    if problem["type"] != "extra_forbidden":
        given = "" if isinstance(problem["input"], dict) else f" (given: {problem['input']!r})"
        return f"`{'.'.join(keys)}`: {problem['msg']}{given}"
    keys = [*(part for part in places[:-1] if part in keys), places[-1]]
    plain = ".".join(keys)
    leaves = [name for name in known if name.rsplit(".", 1)[-1] == keys[-1]]
    near = leaves or difflib.get_close_matches(plain, known, n=1, cutoff=0.6)
    return f"unknown key `{plain}`" + (f", did you mean `{near[0]}`?" if near else "")


def _keys(kind: type[BaseModel], prefix: str = "", tried: frozenset[str] = frozenset()) -> set[str]:
    """Dotted names of all settings; of several kinds of value those of the one that was tried."""
    found = set()
    for name, info in kind.model_fields.items():
        found.add(prefix + name)
        models = _models_in(info.annotation)
        named = [m for m in models if any(str(field.default) in tried for field in m.model_fields.values())]
        for part in named or models:
            found |= _keys(part, f"{prefix}{name}.", tried)
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]
