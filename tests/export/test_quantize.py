"""Eight-bit graphs compute nearly what the float ones do, and each step exactly what it says."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from steno.export.quantize import (
    by_rows,
    convolutions_as_products,
    quantized,
    rounded_once,
    stored_in_8_bits,
    with_8_bit_products,
)
from steno.features.config import FeatureConfig
from steno.models.config import (
    ConformerConfig,
    JasperConfig,
    ModelConfig,
    QuartzNetConfig,
    ResCnnBiGruConfig,
    ResCnnGruStreamConfig,
)
from steno.models.export import export_onnx
from steno.models.registry import AcousticModel
from steno.models.stream_export import check_stream, export_stream
from steno.runtime.graph import EXACT

SMALL = {"dropouts": (0.0,), "each": 1, "last_kernel": 5, "last_dropout": 0.0}
FAMILIES: dict[str, ModelConfig] = {
    "conformer": ConformerConfig(size=64, layers=2, heads=2, stem_channels=8),
    "jasper": JasperConfig(
        stem_channels=64, channels=(96,), kernels=(5,), last_channels=(96, 128), units=2, stem_kernel=7, **SMALL
    ),
    "quartznet": QuartzNetConfig(
        stem_channels=64, channels=(96,), kernels=(9,), last_channels=(96, 128), units=2, stem_kernel=9, **SMALL
    ),
    "rescnn-bigru": ResCnnBiGruConfig(convolution="1d", channels=64, blocks=1, rnn_layers=1, rnn_size=64),
    "rescnn-bigru-2d": ResCnnBiGruConfig(channels=24, blocks=1, rnn_layers=1, rnn_size=64),
}


@pytest.fixture(scope="module", params=FAMILIES)
def graph(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    export_onnx(AcousticModel(FeatureConfig(n_mels=32), FAMILIES[request.param], 29), path)
    return onnx.load(path)


def run(graph: onnx.ModelProto, sizes: tuple[int, ...]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(*EXACT)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    samples = 0.1 * np.random.default_rng(0).standard_normal((len(sizes), max(sizes))).astype(np.float32)
    found, frames = session.run(None, {"samples": samples, "lengths": np.array(sizes)})
    return [row[:count] for row, count in zip(found, frames, strict=True)]


@pytest.mark.parametrize("sizes", [(1,), (7_001,), (4_000, 16_000, 399)])
def test_convolutions_as_products_change_nothing(graph: onnx.ModelProto, sizes: tuple[int, ...]) -> None:
    rewritten = convolutions_as_products(graph)
    for expected, found in zip(run(graph, sizes), run(rewritten, sizes), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("sizes", [(1,), (7_001,), (4_000, 16_000, 399)])
def test_rounding_before_frames_are_put_beside_each_other_changes_nothing(
    graph: onnx.ModelProto, sizes: tuple[int, ...]
) -> None:
    late = with_8_bit_products(convolutions_as_products(graph))
    early = rounded_once(late)
    for expected, found in zip(run(late, sizes), run(early, sizes), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_wide_convolution_rounds_each_frame_once(tmp_path: Path) -> None:
    torch.manual_seed(0)
    export_onnx(AcousticModel(FeatureConfig(n_mels=32), FAMILIES["jasper"], 29), tmp_path / "model.onnx")
    late = with_8_bit_products(convolutions_as_products(onnx.load(tmp_path / "model.onnx")))
    assert rounds_what_is_beside(late) > 0
    assert rounds_what_is_beside(rounded_once(late)) == 0


def rounds_what_is_beside(graph: onnx.ModelProto) -> int:
    """How often frames are put beside each other in float, to be rounded then."""
    beside = {name for node in graph.graph.node if node.op_type == "Concat" for name in node.output}
    return sum(node.op_type == "DynamicQuantizeLinear" and node.input[0] in beside for node in graph.graph.node)


def test_eight_bits_are_near_and_small(graph: onnx.ModelProto) -> None:
    small = quantized(graph)
    for expected, found in zip(run(graph, (16_000, 9_000)), run(small, (16_000, 9_000)), strict=True):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=0.1)
    assert weights_of(small) < 0.45 * weights_of(graph)


def weights_of(graph: onnx.ModelProto) -> int:
    """Bytes of all constants but the front-end's."""
    constants = (one for one in graph.graph.initializer if not one.name.startswith("frontend"))
    return sum(len(one.SerializeToString()) for one in constants)


def test_the_front_end_stays(graph: onnx.ModelProto) -> None:
    def fronts(model: onnx.ModelProto) -> list[str]:
        return sorted(node.op_type for node in model.graph.node if node.name.startswith("/frontend/"))

    assert fronts(quantized(graph)) == fronts(graph)


def test_weights_in_rows_are_off_by_half_a_step() -> None:
    weights = np.random.default_rng(0).standard_normal((3, 5, 7)).astype(np.float32)
    weights[:, 2] = 0
    found, scales = by_rows(weights, axis=1)
    assert found.dtype == np.int8
    assert scales.shape == (1, 5, 1)
    back = found * scales
    assert (np.abs(back - weights) <= scales / 2 + 1e-7).all()


def test_a_column_that_dwarfs_the_others_does_not_spoil_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = ResCnnGruStreamConfig(lookahead_ms=80, channels=64, blocks=0, rnn_layers=2, rnn_size=64)
    model = AcousticModel(FeatureConfig(n_mels=32, normalize="corpus"), config, 29)
    export_stream(model, tmp_path / "stream.onnx")
    stored = stored_in_8_bits(onnx.load(tmp_path / "stream.onnx"))
    onnx.save(stored, tmp_path / "small.onnx")
    assert check_stream(model, tmp_path / "small.onnx") < 0.05


def test_grus_keep_their_inputs_and_outputs(graph: onnx.ModelProto) -> None:
    stored = stored_in_8_bits(graph)
    assert [one.name for one in stored.graph.input] == [one.name for one in graph.graph.input]
    if any(node.op_type == "GRU" for node in graph.graph.node):
        assert any(one.data_type == onnx.TensorProto.INT8 for one in stored.graph.initializer)


def test_a_graph_with_nothing_to_do_stays(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tiny = AcousticModel(FeatureConfig(n_mels=16), ResCnnBiGruConfig(channels=3, blocks=1, rnn_layers=1, rnn_size=8), 7)
    export_onnx(tiny, tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx")
    assert [node.op_type for node in quantized(graph).graph.node] == [node.op_type for node in graph.graph.node]
