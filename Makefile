# Needs Python 3.11 or newer and make, nothing else: FFmpeg comes inside the av wheel.
# Stamp files in .venv make a second run quick; `make clean` starts over.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
OUT := samples/out
DATA ?= ../shared/data/dev

.PHONY: help demo live test check static format lint types imports docs bench scoreboard clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer was found: install one, or say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make an environment: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }

# The default install, as a user gets it, but for code that is read from this folder.
$(VENV)/installed: pyproject.toml | $(BIN)/python
	@begin=$$SECONDS; echo "installing into $(VENV) ..."; $(PIP) install --quiet --no-compile --editable . \
		&& echo "installed in $$((SECONDS - begin)) s, $$(du -sm $(VENV) | cut -f1) MB"
	@touch $@

$(VENV)/installed-dev: pyproject.toml $(VENV)/installed
	@echo "installing the tools for tests and checks ..."; $(PIP) install --quiet --no-compile --editable '.[dev]'
	@touch $@

$(OUT)/street.mp4: samples/build_sample.py | $(VENV)/installed
	$(BIN)/python samples/build_sample.py $@

demo: $(OUT)/street.mp4  ## make an environment, install, build the sample clip, anonymize it
	$(BIN)/anonymizer run $(OUT)/street.mp4 -o $(OUT)/street_anonymized.mp4 -y
	@$(BIN)/python samples/before_after.py $(OUT)/street.mp4 $(OUT)/street_anonymized.mp4 $(OUT)
	@echo; echo "before:  $(OUT)/street.mp4"; echo "after:   $(OUT)/street_anonymized.mp4"; echo "stills:  $(OUT)/before.jpg $(OUT)/after.jpg"

$(VENV)/installed-live: pyproject.toml $(VENV)/installed
	@echo "installing what the page needs ..."; $(PIP) install --quiet --no-compile --editable '.[live]'
	@touch $@

live: $(OUT)/street.mp4 $(VENV)/installed-live  ## a test camera, the live filter and its page, until Ctrl-C
	$(BIN)/python samples/live/demo.py $(OUT)/street.mp4

# Live streams have deadlines: their tests have the machine to themselves.
test: $(VENV)/installed-dev  ## make an environment, install, run the tests
	$(BIN)/python -m pytest --ignore=tests/streaming --numprocesses=auto --maxprocesses=4 --dist=worksteal
	$(BIN)/python -m pytest tests/streaming

check: static test  ## format, lint, types, import contracts, tests, docs

# Without the tests, which hold the documents' checks too; CI runs this and then `make test`.
static: format lint types imports

format: $(VENV)/installed-dev  ## see that every file is formatted
	$(BIN)/ruff format --check .

lint: $(VENV)/installed-dev  ## look for mistakes that can be seen without running
	$(BIN)/ruff check .

types: $(VENV)/installed-dev  ## check the types, strictly
	$(BIN)/mypy

imports: $(VENV)/installed-dev  ## check the import contracts
	$(BIN)/lint-imports

docs: $(VENV)/installed-dev  ## run what README.md and docs/ say
	$(BIN)/python -m pytest tests/test_docs.py tests/test_readme.py

bench: $(OUT)/street.mp4  ## time the sample against a plain transcode with the same settings
	$(BIN)/python samples/bench.py $(OUT)/street.mp4

# Once, for the export of two peers, TORCH_PYTHON has to name a Python with torch and Ultralytics.
scoreboard: $(VENV)/installed-dev  ## measure the presets and their peers on DATA, and write docs/quality.md
	$(BIN)/python -m scoreboard $(DATA) $(if $(TORCH_PYTHON),--torch-python $(TORCH_PYTHON)) $(OPTIONS)

clean:  ## remove the environment and the samples' output
	rm -rf $(VENV) $(OUT)
