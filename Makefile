# The targets, each in one line:
#   make demo    build the examples and write a tarball that `docker load` takes
#   make test    all tests; as root also installs what they need, and runs them again as an ordinary user
#   make check   what a commit must pass: format, lint, types, import direction, documents, tests
#   make docs    docs/commands.md anew, after an option has changed
#   make bench   this builder beside the ones installed (options in BENCH, for example BENCH="--runs 1 cached")

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := .demo
BENCH ?=
TEST ?=

.PHONY: demo test unit check lint docs bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.lapstrake
	@bash examples/demo.sh $(CURDIR)/$(BIN)/lapstrake $(CURDIR)/$(DEMO)

test: $(VENV)/.dev
	@bash tests/run.sh $(BIN) $(TEST)

unit: $(VENV)/.dev
	$(BIN)/pytest -m "not e2e" $(TEST)

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest tests/test_imports.py tests/test_documents.py

check: lint test

docs: $(VENV)/.dev
	$(BIN)/python -m tests.commandpage > docs/commands.md

bench: $(VENV)/.dev
	$(BIN)/python -m bench $(BENCH)

$(VENV)/.lapstrake: pyproject.toml
	@bash tests/venv.sh $(PYTHON) $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.lapstrake
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) $(DEMO) build dist .mypy_cache .pytest_cache .ruff_cache
