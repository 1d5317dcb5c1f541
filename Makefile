# The commands of the project. Each sets up what it needs in .venv; `make sweep` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# What the main job sweeps; ARGS adds to it, and of a key given twice the last counts.
GRID = optimizer=sgd,adam,rmsprop model.dropout=0,0.3
ARGS ?=
# Byte code is written at installation, so that no command pays for it (TensorFlow loads twice as fast with it).
export PYTHONDONTWRITEBYTECODE =

SLURM_PACKAGES = slurmctld slurmd slurm-client munge

.PHONY: help sweep smoke test rare check slurm matrix coverage lint format faults conformance bench wheel clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1|/' | column -t -s '|'

sweep: $(VENV)/ready ## the main job: sweep Fashion-MNIST, end in a table and curves; ARGS="KEY=VALUE ..."
	$(BIN)/python -m fashion_sweep -m $(GRID) $(ARGS)

smoke: $(VENV)/ready ## a tiny sweep on made-up images, done in seconds; ARGS="KEY=VALUE ..."
	$(BIN)/python -m fashion_sweep -m experiment=smoke $(ARGS)

test: lint ## lint, types and the tests, with a sample of the faults; ARGS="-k NAME ..." for some
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal -m "not rare and not slurm" $(ARGS)

rare: $(VENV)/ready-dev ## the rare faults, which make test leaves out
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal -m rare $(ARGS)

check: lint ## lint, types and the fast tests, before each commit
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal -m "not slow and not medium" $(ARGS)

matrix: ## the fast tests on every Python of the range that is at hand (python3.10 to python3.13)
	@for version in 3.10 3.11 3.12 3.13; do \
	  python=python$$version; \
	  $$python -c "" 2> /dev/null || { echo "Python $$version: not here"; continue; }; \
	  echo "Python $$version:"; \
	  $(MAKE) --no-print-directory PYTHON=$$python VENV=.venv/matrix/$$version .venv/matrix/$$version/ready-dev \
	    && .venv/matrix/$$version/bin/python -m pytest --quiet --numprocesses=auto --dist=worksteal \
	      -m "not slow and not medium" $(ARGS) || exit 1; \
	done

coverage: $(VENV)/ready-dev ## all tests, and which branches they take
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal --cov --cov-report=term-missing:skip-covered $(ARGS)

lint: $(VENV)/ready-dev ## style, types, and which module may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/ready-dev ## put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

faults: $(VENV)/ready-dev ## kill, fill, tear and time out real sweeps, write FAULTS.md
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal -m fault --fault-table=FAULTS.md $(ARGS)

slurm: $(VENV)/ready-dev ## install Slurm (Debian, root) and try the cluster launcher on a private one
	@for program in slurmctld slurmd sbatch munged; do command -v $$program > /dev/null || missing=1; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then apt-get update --quiet=2 && \
	  DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends $(SLURM_PACKAGES) || \
	  echo "Slurm could not be installed: the tests that need it are skipped"; fi
	$(BIN)/python -m pytest -m slurm -rs $(ARGS)

conformance: $(VENV)/ready-dev ## try everything that Keras exports with each engine, write docs/CONFORMANCE.md
	PYTHONPATH=tests $(BIN)/python -m conformance --write docs/CONFORMANCE.md $(ARGS)

bench: $(VENV)/ready ## measure against Keras' fit and other launchers, write BENCHMARKS.md (the best part of an hour)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --compile -e '.[bench]'
	$(BIN)/python scripts/benchmark.py --output BENCHMARKS.md $(ARGS)

wheel: $(VENV)/ready ## build dist/*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove the environment and everything that tools made; outputs/ stays
	rm -rf $(VENV) dist build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python 3.10 or newer is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1): make PYTHON=python3.x $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 2; }

$(VENV)/ready: pyproject.toml | $(VENV)/bin/python
	@echo "Setting up $(VENV), once: a few minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --compile -e .
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --compile -e '.[dev]'
	@touch $@
