# make demo   install, segment a moving face, write demo.mp4
# make test   install, run the tests
# make test-browser  the live page in a real Chromium (apt-get install chromium)
# make test-builder  build our recipes' networks with NVIDIA's builder; test PyCUDA on a stub
# make gpu-check   check everything that needs an NVIDIA GPU; results in gpu-check/
# make lint   style, types, import directions, tracked media, documentation
# make mutants  put small faults into the code, and report which ones the tests notice
# make bench  the FPS benchmarking mode on this machine

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-browser test-builder gpu-check test-all mutants lint format bench clean

help:
	@sed -n 's/^# //p' $(MAKEFILE_LIST)

# Each stamp file stands for an installed set of extras; a change of the metadata reinstalls them.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); rtseg needs Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "error: python cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/.installed: setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing rtseg into $(VENV) (the first time this fetches PyTorch: some minutes) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what the tests and checks need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,dev,training]'
	@touch $@

demo: $(VENV)/.installed
	@$(BIN)/rtseg demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not slow and not gpu and not browser and not builder and not cluster"

test-browser: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/browser -m "browser and not slow"

test-builder: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/backends/tensorrt -m "builder and not slow"

gpu-check: $(VENV)/.installed-dev
	$(BIN)/python -m tests.gpu_check -o gpu-check

test-all: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

test-cluster: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[ray]'
	$(BIN)/python -m pytest -m "cluster and not slow"

mutants: $(VENV)/.installed-dev
	$(BIN)/python -m tests.mutants --count 20 --seed 1 --least 95

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.support.tracked_media
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir build/site

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed
	$(BIN)/rtseg bench

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
