# One environment, built once from pinned versions; the stamp makes a second run free.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test test-runtimes fuzz chaos bench gpu-check check format lint types docs clean
help:
	@echo "make demo    run the whole job on the embedded models, offline"
	@echo "make test    run the test suite"
	@echo "make test-runtimes  run all recorded nets in OpenCV, OpenVINO and tract; installs the last two"
	@echo "make fuzz [SECONDS=60]   fuzz every reader for so long; Linux only"
	@echo "make chaos [SECONDS=60]  kill, disconnect and fill disks at random, each for so long"
	@echo 'make bench [ARGS="--quick"]  measure speed against peers and bounds; about half an hour'
	@echo "make gpu-check           everything that only a GPU can tell, within 8 minutes"
	@echo "make check   format check, lint, types, tests: the whole gate"
	@echo "make format  format the code and sort its imports"
	@echo "make docs    write the generated pages and the output of the examples in all pages"

$(STAMP): pyproject.toml .constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "dsd-zoo needs Python 3.11 or newer; this is %s. Try: make PYTHON=python3.12 ..." % sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint .constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/dsd-zoo demo

test: $(STAMP)
	$(BIN)/python -m pytest -n auto

# Not part of `make test`: the other runtimes are no dependencies of the zoo.
test-runtimes: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint .constraints.txt tract==0.23.9
	$(BIN)/python tests/runtimes/measure.py

# Not part of `make test`: they take an hour and some minutes. WRITE=--write puts the table into docs/robustness.md.
SECONDS ?= 60
fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint .constraints.txt --editable '.[dev,fuzz]'
	$(BIN)/python tests/fuzz/measure.py --seconds $(SECONDS) $(WRITE)

chaos: $(STAMP)
	PYTHONPATH=. $(BIN)/python tests/chaos/measure.py --seconds $(SECONDS) $(WRITE)

# Not part of `make test`: figures depend on the machine. ARGS are those of tests/benchmarks/measure.py.
bench: $(STAMP)
	$(BIN)/python tests/benchmarks/measure.py $(ARGS)

gpu-check: $(STAMP)
	$(BIN)/python tests/benchmarks/gpu_check.py $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

check: lint types test

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP)
	$(BIN)/python docs/generate.py
	$(BIN)/python tests/support/documentation.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
