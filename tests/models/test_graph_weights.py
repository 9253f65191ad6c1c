"""An exported graph gives the weights back that went into it."""

from pathlib import Path

import onnx
import pytest
import torch

from steno.export.quantize import quantized
from steno.features.config import FeatureConfig
from steno.models.config import ConformerConfig, ModelConfig, ResCnnBiGruConfig
from steno.models.export import export_onnx
from steno.models.graph_weights import graph_weights
from steno.models.registry import AcousticModel

FEATURES = FeatureConfig(n_mels=16, normalize="utterance")
CONFORMER = ConformerConfig(size=48, layers=2, heads=2, kernel=3, stem_channels=48, squeeze=(2, 2))


def trained(sizes: ModelConfig) -> AcousticModel:
    """A model no two weights of which are equal."""
    torch.manual_seed(0)
    model = AcousticModel(FEATURES, sizes, 29).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


@pytest.fixture
def conformer() -> AcousticModel:
    return trained(CONFORMER)


def test_in_float_they_are_the_same(conformer: AcousticModel, tmp_path: Path) -> None:
    export_onnx(conformer, tmp_path / "model.onnx")
    found = graph_weights(tmp_path / "model.onnx")
    for name, weight in conformer.state_dict().items():
        assert torch.equal(found[name], weight), name


def test_in_8_bits_they_are_rounded(conformer: AcousticModel, tmp_path: Path) -> None:
    export_onnx(conformer, tmp_path / "float.onnx")
    small = quantized(onnx.load(tmp_path / "float.onnx"))
    onnx.save(small, tmp_path / "model.onnx")
    found = graph_weights(tmp_path / "model.onnx")
    assert found.keys() == conformer.state_dict().keys()
    rounded = 0
    for name, weight in conformer.state_dict().items():
        assert torch.allclose(found[name], weight, atol=float(weight.abs().max()) / 127), name
        rounded += not torch.equal(found[name], weight)
    assert rounded > 10


def test_recurrent_layers_are_left_out(tmp_path: Path) -> None:
    model = trained(ResCnnBiGruConfig(channels=4, blocks=1, rnn_layers=1, rnn_size=8))
    export_onnx(model, tmp_path / "model.onnx")
    missing = model.state_dict().keys() - graph_weights(tmp_path / "model.onnx").keys()
    assert {name.split(".")[-1] for name in missing} == {
        *("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
    }


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ValueError, match="not an ONNX graph"):
        graph_weights(tmp_path / "model.onnx")
