"""Strict settings: what is wrong is named with its key, and the nearest key is suggested."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from steno.config import Strict, read_yaml, validate
from steno.errors import RecipeError


class Inner(Strict):
    depth: int = Field(1, ge=1)
    kind: Literal["a", "b"] = "a"


class Outer(Strict):
    name: str
    rate: float = 1.0
    inner: Inner = Inner()
    maybe: Inner | None = None


def message(data: object) -> str:
    with pytest.raises(RecipeError) as raised:
        validate(Outer, data, "here.yaml", RecipeError)
    return raised.value.message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"name": "x", "inner": {"dept": 2}}, "unknown key `inner.dept`, did you mean `inner.depth`?"),
        ({"name": "x", "depth": 2}, "unknown key `depth`, did you mean `inner.depth`?"),
        ({"name": "x", "raet": 2}, "unknown key `raet`, did you mean `rate`?"),
        ({"name": "x", "zzzzzz": 2}, "unknown key `zzzzzz`"),
        ({"name": "x", "maybe": {"knid": "a"}}, "unknown key `maybe.knid`, did you mean"),
        ({"name": "x", "inner": {"depth": 0}}, "`inner.depth`: Input should be greater than or equal to 1 (given: 0)"),
        ({"name": "x", "inner": {"kind": "c"}}, "`inner.kind`: Input should be 'a' or 'b' (given: 'c')"),
        ({"name": "x", "rate": "fast"}, "`rate`"),
        ({"name": "x", "rate": float("nan")}, "`rate`"),
        ({"name": "x", "rate": float("inf")}, "`rate`"),
        ({}, "`name`: Field required"),
    ],
)
def test_what_is_wrong_is_named(data: dict[str, object], said: str) -> None:
    assert "here.yaml: " in message(data)
    assert said in message(data)


def test_every_mistake_is_told_at_once() -> None:
    said = message({"inner": {"depth": "deep"}, "raet": 1})
    assert all(part in said for part in ("`name`", "`inner.depth`", "`raet`"))


def test_values_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Outer(name="x").rate = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: 1\nb: [1, 2\n", "here.yaml:3: not valid YAML"),
        (b"a: 1\n b: 2\n", "here.yaml:2: not valid YAML"),
        (b"- 1\n- 2\n", "is not a mapping"),
        (b"", "is not a mapping"),
        (b"a: \xff\xfe\n", "is not UTF-8"),
        (b"a: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
    ],
)
def test_yaml_that_is_none(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "here.yaml").write_bytes(content)
    with pytest.raises(RecipeError) as raised:
        read_yaml(tmp_path / "here.yaml", RecipeError)
    assert said in raised.value.message


def test_yaml_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        read_yaml(tmp_path / "here.yaml", RecipeError)
    with pytest.raises(RecipeError, match="directory"):
        read_yaml(tmp_path, RecipeError)


def test_yaml_that_is_one(tmp_path: Path) -> None:
    (tmp_path / "here.yaml").write_text("name: ü\ninner: {depth: 3}\n", encoding="utf-8")
    settings = validate(Outer, read_yaml(tmp_path / "here.yaml", RecipeError), "here.yaml", RecipeError)
    assert settings == Outer(name="ü", inner=Inner(depth=3))
