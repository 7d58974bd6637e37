# Every target sets up what it needs; `make ci` is what continuous integration runs.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.13,$(shell $(p) -c 'print("$(p)")' 2>/dev/null)) python3)
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo

.PHONY: help setup lint format test test-random ci docs blenderproc proof-smoke extension demo clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: $(VENV)/.ready  ## Create a virtual environment with an editable install of Twinset

$(VENV)/.ready: pyproject.toml .ci/system
	.ci/system
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test,docs]'
	touch $@

lint: setup  ## Check style, types, spelling and wording
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p .mypy_cache/src && ln -sfn ../.. .mypy_cache/src/twinset
	$(BIN)/mypy
	$(BIN)/codespell .
	$(BIN)/python .ci/prose.py

format: setup  ## Apply the code style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup  ## Run the tests, as many files at a time as there are cores
	$(BIN)/python -m pytest -p no:randomly -n auto --dist loadfile

test-random: setup  ## Run the tests in another order and with other examples each time; SEED=N repeats a run
	$(BIN)/python -m pytest -n auto --dist loadfile $(if $(SEED),-p randomly -p "no:cacheprovider" --randomly-seed=$(SEED) --hypothesis-seed=$(SEED))

ci: lint docs test  ## Run all checks that must pass before a change is merged

docs: setup  ## Build the documentation site into build/site; fails on warnings and broken links
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

blenderproc: setup  ## Install BlenderProc beside Twinset, and run the tests that need it
	$(BIN)/python -m pip install --quiet --editable '.[blenderproc]'
	$(BIN)/python -m pytest -p no:randomly tests/blender/blenderproc tests/dataset/formats/test_blenderproc*.py

proof-smoke: setup  ## Install PyTorch, and train two small detectors as the proof does; PIP_EXTRA_INDEX_URL chooses its build
	$(BIN)/python -m pip install --quiet --editable '.[proof]'
	$(BIN)/python -m pytest -p no:randomly tests/benchmarks

extension: setup  ## Build the Blender extension into dist/: a zip per platform with its packages, and a small one without
	$(BIN)/python .ci/extension.py

demo: setup  ## Render the embedded demo dataset into OUT
	$(BIN)/twinset demo -o $(OUT)

clean:  ## Remove everything the other targets created, including the environment
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
