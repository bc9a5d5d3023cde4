# `make test` and `make demo` are all that is needed: each installs what is
# missing, builds what changed, and runs. `make help` lists the rest.

VENV ?= .venv
PRESET ?= release
# What test-device runs with: the environment, where there is one.
DEVICE_PYTHON ?= $(or $(wildcard $(VENV)/bin/python),python3)
# Empty: as many jobs as there are cores.
JOBS ?=

BUILD := $(if $(filter release,$(PRESET)),build,build-$(PRESET))
PYTHON_BIN := $(abspath $(VENV))/bin/python
# An environment that the caller names is checked, never changed.
VENV_MODE := $(if $(filter file default,$(origin VENV)),own,existing)
NINJA := ninja -C $(BUILD) $(addprefix -j,$(JOBS))
# The same relative paths in every build folder, so that they share results.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
export PYTHONPATH := $(abspath $(BUILD))/python$(addprefix :,$(PYTHONPATH))

.DEFAULT_GOAL := help
.PHONY: help setup configure build test test-long demo bench bench-model \
        bench-gpu sweep-gpu device-kit test-device fuzz mutate docs format lint \
        install clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
	  while IFS='|' read -r name text; do printf '  make %-11s %s\n' "$$name" "$$text"; done
	@echo '  VENV=DIR uses an existing environment, PRESET=debug|asan another build,'
	@echo '  SUITES="lit gtest" only these test suites.'

setup: ## Install what is missing (called by the others)
	@scripts/setup.sh "$(VENV)" $(VENV_MODE) $(filter asan,$(PRESET))

configure: setup
	@scripts/configure.sh $(PRESET) "$(BUILD)" "$(PYTHON_BIN)"

build: configure ## Build the compiler and the Python package
	@$(NINJA)

test: build ## Run every test
	@$(PYTHON_BIN) scripts/run_tests.py --build $(BUILD) $(SUITES)

test-long: build ## Run the exhaustive tests as well (about an hour)
	@$(PYTHON_BIN) scripts/run_tests.py --build $(BUILD) --long $(SUITES)

demo: build ## Import an OLMoE layer, switch it to sequence scope, compile, run
	@$(PYTHON_BIN) -m moe_mlir demo $(ARGS)

bench: build ## Measure what the documentation promises
	@$(PYTHON_BIN) scripts/run_benchmarks.py $(ARGS)

bench-model: build ## Compare the PTX emulator's counters with an H100's
	@$(PYTHON_BIN) benchmarks/bench_ptx_model.py --build $(BUILD) $(ARGS)

bench-gpu: build ## Compare our GPU kernels with the peer's by counters (30 minutes)
	@$(PYTHON_BIN) benchmarks/compare_gpu.py $(ARGS)

sweep-gpu: build ## Choose the peer's tiles for bench-gpu (hours; goes on where it was)
	@$(PYTHON_BIN) benchmarks/sweep_gpu.py $(ARGS)

device-kit: build ## Prepare kernels, inputs and results for a machine with a GPU
	@PYTHONPATH="$(CURDIR)/benchmarks:$$PYTHONPATH" \
	  $(PYTHON_BIN) -m device_kit --output $(BUILD)/device-kit $(ARGS)

# Runs where nothing can be built: it needs a driver, Python and NumPy.
test-device: ## Execute, compare and time the kit's kernels on a GPU, if there is one
	@PYTHONPATH="$(CURDIR)/benchmarks" \
	  $(DEVICE_PYTHON) -m device --kit $(BUILD)/device-kit $(ARGS)

fuzz: build ## Give the PTX front end a million hostile texts (10 minutes)
	@$(PYTHON_BIN) scripts/fuzz_ptx.py --build $(BUILD) $(ARGS)

mutate: build ## Show that the tests notice each planted fault
	@$(PYTHON_BIN) scripts/mutate.py $(ARGS)

docs: build ## Write docs/generated and the pictures again
	@$(PYTHON_BIN) scripts/generate_docs.py

format: setup ## Format C++ and Python in place
	@$(PYTHON_BIN) scripts/check_format.py --fix

lint: build ## Run clang-tidy and mypy
	@scripts/setup.sh "$(VENV)" $(VENV_MODE) lint
	@$(PYTHON_BIN) scripts/lint.py --build $(BUILD)

install: build ## Install to PREFIX
	@cmake --install $(BUILD) $(if $(PREFIX),--prefix "$(PREFIX)")

clean: ## Remove the build folders (the environment stays)
	@rm -rf build build-debug build-asan
