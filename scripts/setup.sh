#!/usr/bin/env bash
# Makes .venv with everything for training, the demo and the tests: torch for this machine, the rest as locked.
#
# PYTHON       interpreter to make .venv with; python3 by default
# TORCH_INDEX  package index to take torch from, such as https://download.pytorch.org/whl/cu128
#
# Run it again at any time: what is there already is not installed again.
set -euo pipefail
cd "$(dirname "$0")/.."

torch_version=2.13.0
cpu_index=https://download.pytorch.org/whl/cpu
python=${PYTHON:-python3}

fail() {
  echo "setup: $1" >&2
  exit 2
}

step() {
  echo "setup: $1"
}

make_venv() {
  command -v "$python" >/dev/null || fail "there is no $python; install Python 3.11.4 or newer, or name one: make setup PYTHON=python3.12"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' ||
    fail "$("$python" --version 2>&1) is too old, Steno needs 3.11.4 or newer; name another: make setup PYTHON=python3.12"
  step "making .venv with $("$python" --version)"
  # A folder without pip is what an interrupted attempt left.
  "$python" -m venv --clear .venv ||
    fail "$python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"
}

has_torch() {
  .venv/bin/python - "$torch_version" <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, version

try:
    found = version("torch")
except PackageNotFoundError:
    sys.exit(1)
sys.exit(found.split("+")[0] != sys.argv[1])
PYTHON
}

# torch comes through pip, whose indexes and mirrors users have set up already, and before all else: pip would
# otherwise take the GPU build, of several GB, also where there is no GPU.
install_torch() {
  local pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check) want="torch==$torch_version"
  if [[ -n ${TORCH_INDEX:-} ]]; then
    step "installing $want from $TORCH_INDEX"
    "${pip[@]}" --index-url "$TORCH_INDEX" "$want"
    return
  fi
  if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L >/dev/null 2>&1; then
    step "no NVIDIA GPU here: trying the CPU build of $want"
    if "${pip[@]}" --retries 0 --timeout 10 --no-deps --index-url "$cpu_index" "$want"; then
      return
    fi
    step "PyTorch's CPU index did not give it, trying pip's own"
  fi
  step "installing $want"
  "${pip[@]}" "$want"
}

[[ -x .venv/bin/python ]] && .venv/bin/python -m pip --version >/dev/null 2>&1 || make_venv
.venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' ||
  fail ".venv holds $(.venv/bin/python --version), Steno needs 3.11.4 or newer; remove .venv and run this again"
has_torch || install_torch

step "installing what is locked in requirements/dev.lock"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock
# uv's own choice of links fails where its cache lies on another disk; copying always works.
export VIRTUAL_ENV="$PWD/.venv" UV_LINK_MODE=copy
.venv/bin/uv pip install --quiet --require-hashes --no-deps -r requirements/dev.lock
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
touch .venv/.steno-is-set-up
step "done; steno is .venv/bin/steno, or activate it with: . .venv/bin/activate"
