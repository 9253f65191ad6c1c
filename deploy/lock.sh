#!/usr/bin/env bash
# Writes deploy/*.lock: what the images hold beside requirements/*.lock, with versions and hashes. The versions are
# those of requirements/dev.lock where it has them.
#
# Use: deploy/lock.sh, after make lock
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
  .venv/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-annotate \
    --custom-compile-command deploy/lock.sh -c requirements/dev.lock "$@"
}

# The stores' libraries, for the images of Steno.
compile --extra s3 pyproject.toml -o deploy/s3.lock
compile --extra azure pyproject.toml -o deploy/azure.lock
# The tracking server: MLflow with PostgreSQL, and both stores as MLflow speaks to them.
compile deploy/tracking.in -o deploy/tracking.lock
# What builds Steno's own wheel.
compile deploy/build.in -o deploy/build.lock
wc -l deploy/*.lock
