# Every target sets up what it needs; `make ci` is what continuous integration runs.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.13,$(shell $(p) -c 'print("$(p)")' 2>/dev/null)) python3)
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo

.PHONY: help setup lint format test ci blenderproc extension demo clean

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: $(VENV)/.ready  ## Make a virtual environment with Twinset in it, changes in the tree taking effect at once

$(VENV)/.ready: pyproject.toml .ci/system
	.ci/system
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

lint: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p .mypy_cache/src && ln -sfn ../.. .mypy_cache/src/twinset
	$(BIN)/mypy

format: setup  ## Put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup  ## Run the tests
	$(BIN)/python -m pytest

ci: lint test  ## All that must pass before a change goes in

blenderproc: setup  ## Install BlenderProc beside Twinset, and run the tests that need it
	$(BIN)/python -m pip install --quiet --editable '.[blenderproc]'
	$(BIN)/python -m pytest tests/test_blenderproc*.py

extension: setup  ## Build the Blender extension into dist/: one zip per platform with its packages, and a small one without
	$(BIN)/python .ci/extension.py

demo: setup  ## Render the embedded demo dataset into OUT
	$(BIN)/twinset demo -o $(OUT)

clean:  ## Remove what the other targets made, the environment too
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
