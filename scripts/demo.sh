#!/usr/bin/env bash
# The whole way in one go: speech is made, checked, learnt, measured, registered, promoted and used. Everything it
# makes lies in ./demo; run it again at any time, and it trains another version.
#
# Arguments are overrides of the recipe: scripts/demo.sh training.epochs=1
set -euo pipefail
cd "$(dirname "$0")/.."

steno=.venv/bin/steno
python=.venv/bin/python
model=steno-demo
run=demo/runs/demo
corpus=demo/LibriSpeech
export MLFLOW_TRACKING_URI=sqlite:///demo/mlflow.db
started=$SECONDS

show() {
  printf '\n$'
  printf ' %q' "${@/#$steno/steno}"
  printf '\n'
  "$@"
}

# The version that this very training registered, whatever else the registry holds.
trained_version() {
  "$python" - "$model" "$run/tracking.json" <<'PYTHON'
import json
import sys
from pathlib import Path

from steno.tracking.registry import show

name, note = sys.argv[1:]
run_id = json.loads(Path(note).read_text())["run_id"]
versions = [version.version for version in show(name) if version.run_id == run_id]
if not versions:
    sys.exit(f"demo: the training registered no version of {name}")
print(versions[0])
PYTHON
}

# Id and recording of the first utterance of a manifest, one a line.
first_utterance() {
  "$python" - "$1" <<'PYTHON'
import sys

from steno.data.manifest import Manifest

utterance = Manifest(sys.argv[1])[0]
print(utterance.id, utterance.audio, sep="\n")
PYTHON
}

# A corpus that another version of Steno made is refused, not replaced.
show "$steno" data synth --to demo || {
  echo "demo: make clean removes ./demo, and the next make demo starts anew" >&2
  exit 2
}
for part in train dev test; do
  show "$steno" data prepare "$corpus/$part-synth" --out "demo/$part.jsonl"
done
show "$steno" data check demo/train.jsonl --against demo/dev.jsonl --against demo/test.jsonl --recipe recipes/demo.yaml

show "$steno" train recipes/demo.yaml "$@" --to "$run" --overwrite
version=$(trained_version)
# A later version takes the place of an earlier one only if it is better; a refusal (1) is no failure of the demo.
show "$steno" models promote "$model" "$version" --alias champion --data demo/dev.jsonl || [ $? -eq 1 ]
show "$steno" models list

show "$steno" evaluate --model "models:/$model@champion" --data demo/test.jsonl
first=$(first_utterance demo/test.jsonl)
id=${first%%$'\n'*}
recording=${first#*$'\n'}
show "$steno" validate --model "models:/$model@champion" --file-id "$id" --data demo/test.jsonl
show "$steno" transcribe "$recording" --model "models:/$model@champion"

cat <<END

Done in $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s. What there is now, in ./demo:
  LibriSpeech/     the corpus: three parts that share neither voices nor sentences
  *.jsonl          its manifests
  runs/demo/       checkpoints, the recipe with all its defaults, and model/, the model folder
  mlflow.db        the tracked runs, and the registry: version $version of $model is new, champion is in use

Go on, after . .venv/bin/activate:
  # curves, tables and models in a browser
  steno track --to demo
  # every version with its figures
  MLFLOW_TRACKING_URI=$MLFLOW_TRACKING_URI steno models show $model
  # any recording; the model knows a few hundred words
  steno transcribe YOUR.wav --model $run/model
END
