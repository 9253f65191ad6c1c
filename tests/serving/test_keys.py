"""API keys."""

from pathlib import Path

import pytest

from steno.errors import StenoError
from steno.serving.keys import VARIABLE, Keys, bearer, read_keys

KEY = "0123456789abcdef"


def test_without_keys_everybody_may_in() -> None:
    assert not Keys()
    assert Keys().admit(None)


def test_only_a_key_of_the_list_opens() -> None:
    keys = Keys([KEY, KEY[::-1]])
    assert keys.admit(KEY)
    assert keys.admit(KEY[::-1])
    assert not any(keys.admit(key) for key in (None, "", KEY[:-1], KEY + "0", "ключ" * 4))


def test_keys_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# laptop\n{KEY}\n\n")
    assert read_keys(file).admit(KEY)
    monkeypatch.setenv(VARIABLE, f"{KEY}, {KEY[::-1]}")
    assert read_keys(None).admit(KEY[::-1])
    monkeypatch.delenv(VARIABLE)
    assert not read_keys(None)


@pytest.mark.parametrize("text", ["", "# nothing\n", "short\n", "with spaces in it, sixteen\n", "ü" * 16])
def test_a_file_without_good_keys_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(StenoError, match="keys"):
        read_keys(file)
    with pytest.raises(StenoError, match="absent"):
        read_keys(tmp_path / "absent")


def test_the_key_of_a_header() -> None:
    assert bearer(f"Bearer {KEY}") == KEY
    assert bearer(f"bearer {KEY} ") == KEY
    assert [bearer(text) for text in (None, "", "Bearer", "Bearer  ", f"Basic {KEY}")] == [None] * 5
