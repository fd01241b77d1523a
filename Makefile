# Needs python3 with its venv module, and make; everything else is installed here.
PYTHON ?= python3
BIN := .venv/bin
OLDEST_BIN := .venv-oldest/bin
TOOLS_BIN := .venv-tools/bin
BUILD_BIN := .venv-build/bin
# Two workers, and one BLAS thread in each.
PYTEST := -m pytest -n 2
BENCHMARKS := targets growth peers shapes comparison breakdown interval_coverage efficiency \
    partitions scores fast_bootstrap robustness

.PHONY: demo test test-fast lint types bench bench-tables fuzz docs oldest tools torch wheel-test clean
.PHONY: $(BENCHMARKS:%=bench/%)
# Two targets may install into the same environment.
.NOTPARALLEL:

demo: .venv/.examples
	$(BIN)/python examples/medical_expenditure.py
	$(BIN)/python examples/quickstart.py
	$(BIN)/python examples/house_prices.py

test: lint types
	OPENBLAS_NUM_THREADS=1 $(BIN)/python $(PYTEST)

# Two cases of each test, drawn by its name: two to three minutes, to work with.
test-fast: lint types
	OPENBLAS_NUM_THREADS=1 $(BIN)/python $(PYTEST) --few 2

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.test
	$(BIN)/mypy

# Measures what the code has changed under, and writes benchmarks/results and the tables of
# the docs; about two hours if that is all, half of them for the last program.
# What is measured is kept, however it ends. CASES="--only tiny" or --all measures others.
bench: $(BENCHMARKS:%=bench/%)

bench-tables:
	$(MAKE) bench CASES=--tables

$(BENCHMARKS:%=bench/%): bench/%: .venv/.bench
	$(BIN)/python benchmarks/$*.py $(CASES)

# A hundred thousand random hard problems, each fit judged from its own coefficients; some
# hours.
fuzz: .venv/.test
	$(BIN)/python benchmarks/fuzz.py

docs: .venv/.docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# The oldest versions that pyproject.toml allows, with a polars whose column names that
# scikit-learn can read; statements of style and types are about the newest. Two cases of
# each test meet every call that has changed since; arithmetic is that of the newest.
# FEW= runs all.
oldest: FEW ?= --few 2
oldest: .venv-oldest/.test
	OPENBLAS_NUM_THREADS=1 $(OLDEST_BIN)/python $(PYTEST) $(FEW)

# The page that needs large packages of others, with the newest of them.
tools: .venv-tools/.tools
	$(TOOLS_BIN)/python -m pytest tests/optional_tools.py

# PyTorch as well. Where an index has it without CUDA, which is a tenth of the size, say so:
# TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
torch: TORCH ?= torch
torch: .venv-tools/.tools
	$(TOOLS_BIN)/python -m pip install -q $(TORCH)
	$(TOOLS_BIN)/python -m pytest tests/optional_torch.py

# The sdist, the wheel that is built of it, and the wheel in an empty environment outside
# the checkout; PYTHON= is the one that it is tried with.
wheel-test: .venv-build/.build
	rm -rf dist
	$(BUILD_BIN)/python -m build
	set -e; room=$$(mktemp -d); trap 'rm -rf "$$room"' EXIT; cd "$$room"; \
	$(PYTHON) -m venv .venv; \
	.venv/bin/python -m pip install -q pytest $(CURDIR)/dist/*.whl; \
	.venv/bin/python -m pytest $(CURDIR)/tests/optional_wheel.py -k "not readme"; \
	.venv/bin/python -m pip install -q matplotlib; \
	.venv/bin/python -m pytest $(CURDIR)/tests/optional_wheel.py -k readme

clean:
	rm -rf .venv .venv-oldest .venv-tools .venv-build dist docs/_build examples/output

# An extra and what it needs, installed anew after a change of pyproject.toml.
.venv/.%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -e ".[$*]"
	touch $@

.venv-oldest/.test: pyproject.toml Makefile
	test -x $(OLDEST_BIN)/python || $(PYTHON) -m venv .venv-oldest
	$(OLDEST_BIN)/python -m pip install -q -e ".[test]" \
	    "numpy==2.0.*" "scikit-learn==1.6.*" "scipy==1.13.*" "polars==1.17.*" \
	    "dask==2025.12.0" "distributed==2025.12.0" "pandas==2.2.*" "pyarrow==17.*"
	touch $@

.venv-build/.build:
	test -x $(BUILD_BIN)/python || $(PYTHON) -m venv .venv-build
	$(BUILD_BIN)/python -m pip install -q build
	touch $@

.venv-tools/.tools: pyproject.toml
	test -x $(TOOLS_BIN)/python || $(PYTHON) -m venv .venv-tools
	$(TOOLS_BIN)/python -m pip install -q -e ".[tools]"
	touch $@
