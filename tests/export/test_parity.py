"""The parity report: every form heard the same, or the report says so."""

import json
from pathlib import Path

from steno.runtime.folder import CARD


def test_the_report_of_a_streaming_model(streaming: Path, tones: Path, tmp_path: Path, steno) -> None:
    import shutil

    folder = Path(shutil.copytree(streaming, tmp_path / "model"))
    data = tones / "dev.jsonl"
    small = tmp_path / "int8"
    assert steno("export", folder, "--to", small, "--format", "onnx-int8", "--data", data, "--margin", "1").code == 0
    out = tmp_path / "parity.json"
    ran = steno("parity", folder, "--data", data, "--export", small, "--utterances", "3", "--no-pyfunc", "--json", out)
    assert ran.code == 0, ran.err + ran.out
    found = json.loads(out.read_text())
    assert found["holds"]
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == ["torch", "onnx", "streaming", "int8", "int8 streaming"]
    for name in ("onnx", "streaming"):
        assert rows[name]["difference"] < 1e-3
        assert rows[name]["identical"] == rows[name]["utterances"] == 3
    assert rows["torch"]["difference"] == 0
    assert rows["int8"]["difference"] > 0
    assert all(row["peak"] > 1e7 and row["size"] > 0 for row in rows.values())
    for place in (folder, small):
        card = (place / CARD).read_text()
        assert card.count("## Parity") == 1
        assert "| streaming |" in card


def test_forms_that_differ_are_told(model: Path, tones: Path, tmp_path: Path, steno) -> None:
    import shutil

    import onnx

    from steno.runtime.folder import ONNX, read_config, write_config

    folder = Path(shutil.copytree(model, tmp_path / "model"))
    graph = onnx.load(folder / ONNX)
    for tensor in graph.graph.initializer:
        if tensor.name == "encoder.classifier.bias":
            values = onnx.numpy_helper.to_array(tensor).copy()
            values[0] += 0.1
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(graph, folder / ONNX)
    write_config(folder, read_config(folder))
    ran = steno("parity", folder, "--data", tones / "dev.jsonl", "--utterances", "2", "--no-pyfunc", "--no-card")
    assert ran.code == 1
    assert "not the same" in ran.err
    assert "## Parity" not in (folder / CARD).read_text()
