# The two commands of the README are `make demo` and `make test`; the rest is for development.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the tests talk to beside lapstrake itself; only ever installed by root, and tests skip what is missing.
APT := busybox-static libseccomp2 skopeo umoci runc docker.io podman uidmap attr libcap2-bin python3-venv

.PHONY: demo test check bench apt clean

$(BIN)/lapstrake: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lapstrake needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.dev: $(BIN)/lapstrake
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(BIN)/lapstrake
	sh examples/demo.sh $(BIN)/lapstrake

apt:
	sh tests/install.sh $(APT)

test: apt $(VENV)/.dev
	$(BIN)/python -m pytest
	sh tests/as-user.sh

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

bench: $(BIN)/lapstrake
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) .demo
