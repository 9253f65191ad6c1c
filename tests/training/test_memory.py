"""What training keeps from step to step."""

import subprocess
import sys

import pytest

PROGRAM = """
import torch
from steno.training.memory import keep_kernels
keep_kernels()
convolution = torch.nn.Conv1d(16, 16, 3)
for length in [*range(100, 800), 100]:
    convolution(torch.ones(2, 16, length))
"""


@pytest.mark.parametrize(("own", "made_anew"), [(None, False), ("1024", True)])
def test_kernels_of_many_shapes_are_kept_unless_a_user_wants_fewer(own: str | None, made_anew: bool) -> None:
    environment = {"ONEDNN_VERBOSE": "2", "LRU_CACHE_CAPACITY": "1", "PATH": ""}
    environment |= {} if own is None else {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": own}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    made = [line for line in done.stdout.splitlines() if ",create:" in line and ",convolution," in line]
    if not made:
        pytest.skip("this machine's torch does not compute convolutions with oneDNN")
    assert ("cache_miss" in made[-1]) == made_anew
