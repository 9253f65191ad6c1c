#!/usr/bin/env bash
# Writes requirements/*.lock from pyproject.toml: every distribution with its version and its hashes.
#
# torch stays out, because which build of it is right depends on the machine (scripts/setup.sh chooses), and with
# it the CUDA libraries that only its GPU build brings. What else torch needs is in.
#
# Use: make lock                       keep the versions of the present locks where they still fit
#      make lock ARGS=--upgrade        take the newest that pyproject.toml allows
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
options=(--quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-annotate
  --custom-compile-command "make lock" "$@")

# Names of torch's own libraries as the resolver finds them, so that a new one cannot slip in.
mapfile -t of_torch < <(
  "$uv" pip compile --quiet --no-header --no-annotate --universal --python-version 3.11 --extra train pyproject.toml |
    sed -nE 's/^((nvidia|cuda|triton)[a-z0-9-]*)==.*/\1/p' | sort -u
)
for name in torch "${of_torch[@]}"; do
  options+=(--no-emit-package "$name")
done

"$uv" pip compile "${options[@]}" requirements/uv.in -o requirements/uv.lock
"$uv" pip compile "${options[@]}" --all-extras pyproject.toml -o requirements/dev.lock
# The smaller ones hold the versions of the greatest.
for extras in base "train demo" "serve lm"; do
  flags=()
  [[ $extras == base ]] || for extra in $extras; do flags+=(--extra "$extra"); done
  name=${extras%% *}
  "$uv" pip compile "${options[@]}" "${flags[@]}" -c requirements/dev.lock pyproject.toml -o "requirements/$name.lock"
done
deploy/lock.sh
wc -l requirements/*.lock
