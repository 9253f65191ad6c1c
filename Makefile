# make help lists the targets. Everything runs inside .venv, which `make setup` makes.
SHELL := bash
.DEFAULT_GOAL := help
BIN := .venv/bin
READY := .venv/.steno-is-set-up
# Kept bytecode: without it, which containers like to ask for, each process compiles mlflow anew, for ten seconds.
unexport PYTHONDONTWRITEBYTECODE
# What a target passes on: make demo ARGS="training.epochs=1", make test ARGS="-k manifest"
ARGS ?=

.PHONY: help setup demo test lint format types docs lock sbom audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv and install everything (PYTHON=python3.12 and TORCH_INDEX=URL are taken)

$(READY): requirements/uv.lock requirements/dev.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh

demo: $(READY) ## from nothing to a promoted model that has transcribed a file, in ./demo
	@scripts/demo.sh $(ARGS)

test: $(READY) ## run the tests
	$(BIN)/pytest -n auto --dist worksteal $(ARGS)

lint: $(READY) ## check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(READY) ## bring the code to the format, and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY) ## check the types
	$(BIN)/mypy

docs: $(READY) ## write docs/reference from the code
	$(BIN)/python scripts/make_reference.py

lock: $(READY) ## write requirements/*.lock from pyproject.toml
	@scripts/lock.sh $(ARGS)

sbom: $(READY) ## write build/sbom/*.json, the parts of each lock in CycloneDX's form
	@$(BIN)/python scripts/sbom.py $(ARGS)

audit: $(READY) ## ask for known vulnerabilities of everything that is locked
	@$(BIN)/python scripts/audit.py $(ARGS)

clean: ## remove caches and what the demo made; .venv, runs and data stay
	rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
