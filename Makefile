# `make demo` and `make test` do all their own set-up; the environment is made anew only when its inputs change.
PYTHON ?= python3
BIN := .venv/bin
INPUTS := $(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
READY := .venv/ready-$(INPUTS)
WORKERS ?= 2

# The compilers for GPU and TPU are installed beside JAX, and would look for their devices.
demo detection test vectors readme sweep bench accelerators: export JAX_PLATFORMS = cpu

.PHONY: demo detection docs test lint format vectors readme audit sweep bench bench-gpu accelerators versions clean

demo: $(READY)
	$(BIN)/python -m examples

# A dense detector with every loss, three seeds each, in ten minutes: a table, and pictures in out/.
detection: $(READY)
	$(BIN)/python -m examples.detection_jax

# The documentation as a site, in out/site; NO_MKDOCS_2_WARNING is about a successor of MkDocs.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

vectors: $(READY)
	$(BIN)/python -m parity_tests.make_vectors

readme: $(READY)
	$(BIN)/python -m examples.plot_focal_loss --out docs/focal_loss.png
	$(BIN)/python -m parity_tests.make_readme

# The public implementations, in an environment of their own: PyTorch first, since some ask for any build of it.
audit: .venv-audit/bin/focal-parity
	.venv-audit/bin/python -m parity_tests.make_readme audit

.venv-audit/bin/focal-parity: pyproject.toml constraints.txt
	rm -rf .venv-audit
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --quiet --constraint constraints.txt torch
	.venv-audit/bin/python -m pip install --quiet --quiet --constraint constraints.txt --editable '.[audit]'

# All 2^32 float32 logits: half an hour for each package on two cores.
sweep: $(READY)
	$(BIN)/python -m parity_tests.make_readme sweep

# Times beside those of others, in half an hour; 1 is the exit code where one is not what is required.
bench: $(READY)
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.vocabulary

bench-gpu: $(READY)
	$(BIN)/python -m benchmarks.device_parity
	$(BIN)/python -m benchmarks.accelerator

# The losses compiled for GPUs and TPUs that are not there, one and many, in half an hour.
accelerators: $(READY)
	$(BIN)/python -m parity_tests.make_readme aot
	$(BIN)/python -m parity_tests.make_readme pods

# The oldest versions, the newest and some between, each in an environment of its own, in half an hour.
versions: $(READY)
	$(BIN)/python -m parity_tests.make_readme versions

$(READY):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-audit .venv-versions .pytest_cache .ruff_cache .hypothesis
