# Each target does its own set-up: the extra that it needs, in one environment that is made anew when its inputs change.
PYTHON ?= python3
BIN := .venv/bin
INPUTS := $(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
MADE := .venv/made-$(INPUTS)
READY := .venv/ready-dev-$(INPUTS)
# What is in a larger extra as well is not asked for again.
TEST := $(firstword $(wildcard $(READY)) .venv/ready-test-$(INPUTS))
EXAMPLES := $(firstword $(wildcard $(READY) .venv/ready-test-$(INPUTS)) .venv/ready-examples-$(INPUTS))
DOCS := $(firstword $(wildcard $(READY)) .venv/ready-docs-$(INPUTS))
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest parity_tests/tests -n $(WORKERS) --durations=25 --durations-min=20

# pip compiles nothing here, so that the first import of a module has to, and to keep it.
unexport PYTHONDONTWRITEBYTECODE

# The compilers for GPU and TPU are installed beside JAX, and would look for their devices.
demo detection test-quick test test-slow vectors readme sweep: export JAX_PLATFORMS = cpu
bench accelerators instruction-sets mutants extras dist: export JAX_PLATFORMS = cpu

.PHONY: demo detection docs test-quick test test-slow lint format vectors readme
.PHONY: audit sweep bench bench-gpu accelerators instruction-sets mutants versions extras dist clean

demo: $(EXAMPLES)
	$(BIN)/python -m examples

# A dense detector with three losses, for half as many steps as on the page: a table, and
# pictures in out/detection_torch_short/. What was trained for the page, which takes hours,
# is in examples/detection/results.csv.
detection: $(EXAMPLES)
	$(BIN)/python -m examples.detection_torch --short

# The documentation as a site, in out/site; NO_MKDOCS_2_WARNING is about a successor of MkDocs.
docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The layers on a small grid; then all that the claims of the README rest on; then the rest, which needs
# browsers, compilers for accelerators, other implementations and time.
test-quick: $(TEST)
	$(PYTEST) --tier=quick

test: $(TEST)
	$(PYTEST) --tier=test

# With UNTIL, in seconds since 1970, tests that have not begun by then are skipped and counted.
test-slow: $(READY)
	$(PYTEST) --tier=slow $(if $(UNTIL),-rs --until=$(UNTIL))

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

vectors: $(READY)
	$(BIN)/python -m parity_tests.contract.make_vectors

readme: $(READY)
	$(BIN)/python -m examples.plot_focal_loss --out docs/focal_loss.png
	$(BIN)/python -m examples.family.plot --out docs/family.png
	$(BIN)/python -m examples.family.peak --out docs/family_peak.png
	$(BIN)/python -m parity_tests.pages.make_readme
	$(BIN)/python -m parity_tests.pages.notebook

# The public implementations, in an environment of their own: PyTorch first, since some ask for any build of it.
audit: .venv-audit/bin/focal-parity
	.venv-audit/bin/python -m parity_tests.pages.make_readme audit

.venv-audit/bin/focal-parity: pyproject.toml constraints.txt
	rm -rf .venv-audit
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --quiet --constraint constraints.txt torch
	.venv-audit/bin/python -m pip install --quiet --quiet --constraint constraints.txt --editable '.[audit]'

# All 2^32 float32 logits: half an hour for each package on two cores.
sweep: $(READY)
	$(BIN)/python -m parity_tests.pages.make_readme sweep

# The layers from values to parity with the instruction sets of other processors; 1 is the exit code where one is red.
instruction-sets: $(TEST)
	$(BIN)/python -m parity_tests.tests.contract.instruction_sets --workers $(WORKERS)

# Faults planted into the arithmetic of both packages, each of which a test has to notice: EVERY=20 is one in twenty,
# and all take many hours. It continues where it was interrupted; 1 is the exit code where one is not noticed.
mutants: $(READY)
	$(BIN)/python -m parity_tests.mutants --jobs $(WORKERS) --every $(or $(EVERY),1)

# Times beside those of others, in half an hour; 1 is the exit code where one is not what is required.
bench: $(READY)
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.vocabulary

bench-gpu: $(READY)
	$(BIN)/python -m benchmarks.device_parity
	$(BIN)/python -m benchmarks.accelerator

# The losses compiled for GPUs and TPUs that are not there, one and many, in half an hour.
accelerators: $(READY)
	$(BIN)/python -m parity_tests.pages.make_readme aot
	$(BIN)/python -m parity_tests.pages.make_readme pods

# The oldest versions, the newest and some between, each in an environment of its own; PAIRS="oldest newest" are fewer.
# 1 is the exit code where one fails, or where a bound in pyproject.toml is not the oldest that docs/versions.md says.
versions: $(TEST)
	$(BIN)/python -m parity_tests.versions $(addprefix --pair=,$(PAIRS))

# Each extra as it is for a user, in an empty environment of its own: a quarter of an hour.
extras: $(TEST)
	$(BIN)/python -m parity_tests.tests.project.extras

# Wheel and sdist in out/dist, with what belongs into them. TAG, where there is one, has to be that of the version.
dist: $(TEST)
	test -z "$(TAG)" || test "$(TAG)" = "v$$($(BIN)/python -m hatchling version)"
	rm -rf out/dist
	$(BIN)/python -m hatchling build --directory out/dist
	$(BIN)/python -m pytest -q parity_tests/tests/project/test_distributions.py parity_tests/tests/project/test_project.py

.venv/ready-%-$(INPUTS): | $(MADE)
	$(BIN)/python -m pip install --quiet --quiet --no-compile --constraint constraints.txt --editable '.[$*]'
	touch $@

$(MADE):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	touch $@

clean:
	rm -rf .venv .venv-audit .venv-versions .pytest_cache .ruff_cache .hypothesis
