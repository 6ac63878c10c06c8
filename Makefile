# Two commands: `make demo` and `make test`. `make help` lists all.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))) python3.11)
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# Many tests wait for processes, so more tests than processors run in parallel.
WAITING := 2
PARALLEL = -n $(shell expr $(WORKERS) + $(WAITING)) --dist worksteal
# A failed test, perhaps on a busy machine, is run once more and listed as RERUN.
ONCE_MORE := --reruns 1 -raR
PROGRAM := api core jobs notifier stack
# Hides the warning that deptry does not read constraints.txt.
DEPTRY := $(BIN)/python -W ignore -m deptry --config deptry.toml
KERNELS := .cache/kernels.stamp
KERNEL_TESTS := tests/jobs/decode tests/jobs/aggregate $(addprefix tests/jobs/sources/,test_csv.py test_parquet.py)
# Tests of the packages whose coverage is measured.
COVERED_TESTS := tests/core tests/jobs
# Of these, tests that are not measured, because other tests run the same lines: tests that kill or start many processes, repeat
# whole jobs, truncate sources at many positions, or compare numbers with another computation; and tests of kernels, which are
# measured when the kernels run as Python.
UNMEASURED_TESTS := $(KERNEL_TESTS) $(wildcard tests/jobs/*/test_*kills.py tests/jobs/*/test_*signals.py) \
    $(addprefix tests/jobs/refreshing/test_,refresh_failures.py retention.py refresh_gaps.py \
        refresh_rejects.py refresh_complete_days.py written_meanwhile.py refresh_command.py documents_without_date.py \
        verify_overtaken.py) \
    $(addprefix tests/jobs/cli/test_,stored_versions.py concurrent_rebuilds.py zone_rules.py amount_options.py bad_input.py) \
    $(addprefix tests/jobs/sources/,test_source_formats.py test_truncated_sources.py test_archives.py remote/test_remote_sources.py) \
    $(addprefix tests/jobs/sources/live/test_live_,oldest.py reconnect.py) \
    tests/jobs/partitions/test_partitions.py $(addprefix tests/jobs/partitions/cluster/test_cluster_,sources.py failures.py) \
    $(addprefix tests/jobs/publish/test_,rebuild_shrinking.py foreign_writes.py) tests/jobs/runs/test_quarantine_limit.py \
    $(addprefix tests/jobs/test_,rebuild_concurrency.py rebuild_counting.py warm.py) \
    $(wildcard tests/core/stores/test_*_concurrency.py) $(addprefix tests/core/test_calendar_,days.py keys.py jalali.py periods.py zones.py)
OTHER_TESTS := $(filter-out $(COVERED_TESTS) tests/image tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))
# Minimum coverage of lines and branches, in percent, with CI=true. Without it, tests may be skipped because a program is missing.
COVERAGE_FLOOR := 95

# Processes share compiled bytecode, even if the environment disables this: the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

# A file of pins/ lists all direct and indirect dependencies with hashes; pip installs nothing else.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r pins
# Images for the tests. Images of `make image` are in the storage of Docker or buildah.
IMAGES := .cache/image/storage

DEMO := demo
DEMO_STORE := sqlite:///$(DEMO)/summaries.db

.PHONY: help
help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: demo
demo: $(VENV)/run.stamp ## Write a sample mongodump archive, build its summaries, print some of them
	@mkdir -p $(DEMO)
	@echo "The first run compiles the decoders, which takes five to twenty seconds."
	$(BIN)/python -m jobs sample $(DEMO)/sample.archive.gz --transactions 500000 --force
	$(BIN)/python -m jobs rebuild $(DEMO)/sample.archive.gz --truncate --store $(DEMO_STORE)
	$(BIN)/python -m jobs summary --mode monthly --type amount --store $(DEMO_STORE)
	$(BIN)/python -m jobs status --store $(DEMO_STORE)
	@echo
	@echo "Try next, in this folder:"
	@echo "  export STORE_URL=$(DEMO_STORE)"
	@echo "  $(BIN)/python -m jobs query top_merchants --limit 5"
	@echo "  $(BIN)/python -m api    # then open the link that it shows"

.PHONY: run
run: $(VENV)/stack.stamp ## Run API, worker, beat and Redis until Ctrl-C, with STORE_URL or an SQLite store in run-data/; PORT=8000
	@$(BIN)/python -m stack $(if $(PORT),--port $(PORT))

.PHONY: test
test: ## Run all checks and tests; THOROUGH=1 runs the slow tests too
	@$(MAKE) --no-print-directory --jobs=2 style $(KERNELS)
	@$(MAKE) --no-print-directory cover
	@# mypy needs one processor for half a minute; these tests often wait.
	@$(MAKE) --no-print-directory --jobs=2 types others

.PHONY: lint
lint: style types ## Check format, style, types and the direction of imports

.PHONY: style
style: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/biome check --error-on-warnings
	@# Dead code: first without the tests, because code that only tests use is dead; then with tests and tools.
	$(BIN)/vulture $(PROGRAM)
	$(BIN)/vulture $(PROGRAM) bench docker docs tests hatch_build.py
	@# Unused dependencies: first those of the program, without imports by tests; then all others.
	$(DEPTRY) $(PROGRAM)
	$(DEPTRY) . --requirements-files requirements-bench.txt,requirements-mutation.txt --ignore DEP001,DEP003,DEP004
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint --failure-threshold style Dockerfile

.PHONY: types
types: $(VENV)/dev.stamp
	$(BIN)/mypy

.PHONY: cover
cover: $(VENV)/dev.stamp $(KERNELS) ## Run the tests of core and jobs, and report their coverage; CI=true requires the minimum
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest $(PARALLEL) $(ONCE_MORE) $(COVERED_TESTS) $(addprefix --ignore=,$(UNMEASURED_TESTS))
	@# Coverage sees the lines of kernels only if they run as Python.
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest $(PARALLEL) $(KERNEL_TESTS)
	@# Killed processes leave damaged data files, for which combine would print warnings.
	$(BIN)/python -W ignore -m coverage combine --quiet
	@rm -f .coverage.*
	$(BIN)/coverage report $(if $(filter true,$(CI)),--fail-under=$(COVERAGE_FLOOR))

.PHONY: others
# These tests wait for a quarter of their time.
others: WAITING := 3
others: $(VENV)/dev.stamp $(KERNELS) ## Run all other tests, without coverage
	$(BIN)/python -m pytest $(PARALLEL) $(ONCE_MORE) $(OTHER_TESTS) $(UNMEASURED_TESTS)

.PHONY: test-clock
test-clock: $(VENV)/dev.stamp $(KERNELS) ## Run the tests that read the clock, with another time and time zone, which change every day
	@# Without the tests of deployment, documentation, image and dashboard: they compare times of files, which are not
	@# moved, or read the clock in programs that other tests run.
	$(BIN)/python tests/clock/moved.py $(BIN)/python -m pytest $(PARALLEL) $(ONCE_MORE) -m clock \
	    $(addprefix --ignore=tests/,deploy docs image api/dashboard)

.PHONY: image
image: | $(BIN)/python ## Build the image transaction-summary:local, with Docker or buildah; BASE=debian uses no image registry
	$(BIN)/python docker/build_image.py $(if $(filter debian,$(BASE)),--debian-base)

.PHONY: test-image
test-image: $(VENV)/dev.stamp ## Build the image with buildah, as root, and run each service of docker-compose.yml in it
	$(BIN)/python tests/image/prepare.py
	@# In a mount namespace, so that mounts of buildah are removed at the end.
	unshare --mount $(BIN)/python docker/build_image.py --storage $(IMAGES) --debian-base
	@# In a network namespace, so that the ports of docker-compose.yml are free.
	IMAGE_STORAGE=$(IMAGES) unshare --net --mount sh -c 'ip link set lo up && exec $(BIN)/python -m pytest tests/image'

.PHONY: mutation
mutation: $(VENV)/mutation.stamp ## Run mutation testing of critical modules, and list the mutants that no test kills
	rm -rf mutants
	NUMBA_DISABLE_JIT=1 $(BIN)/mutmut run --max-children $(WORKERS)
	$(BIN)/python tests/mutation/report.py

$(KERNELS): $(wildcard jobs/decode/*.py jobs/aggregate/*.py) tests/jobs/helpers/kernels.py | $(VENV)/dev.stamp
	@echo "Compiling the decoders, which takes half a minute."
	@mkdir -p $(@D)
	$(BIN)/python tests/jobs/helpers/kernels.py
	@touch $@

.PHONY: pins
pins: $(VENV)/pins.stamp ## After a change of requirements*.txt: write pins/ and docs/licences.md; UPGRADE=1 upgrades
	$(BIN)/python docs/make_pins.py $(if $(UPGRADE),--upgrade)
	$(INSTALL)/requirements.txt
	$(BIN)/python docs/make_licences.py

.PHONY: audit
audit: $(VENV)/pins.stamp ## Check all pinned packages for known vulnerabilities; TOLERANT=1 if the index has no data
	$(BIN)/python docs/audit_pins.py $(if $(TOLERANT),--tolerate-unknown)

.PHONY: docs
docs: $(VENV)/dev.stamp ## Write the table of settings in README.md, and kubernetes/settings.yaml
	$(BIN)/python docs/make_settings.py
	$(BIN)/python docs/make_kubernetes.py

.PHONY: screenshots
screenshots: $(VENV)/dev.stamp ## Take the screenshots in README.md from the real dashboard, in Chromium
	$(BIN)/python docs/make_screenshots.py

.PHONY: bench
bench: $(VENV)/bench.stamp ## Compare this program with others; writes bench/RESULTS.md
	$(BIN)/python -m bench

.PHONY: notebook
notebook: $(VENV)/notebook.stamp ## Open notebooks/summaries.py with the store of STORE_URL
	$(BIN)/python -m marimo edit notebooks/summaries.py

.PHONY: jupyter
jupyter: $(VENV)/dev.stamp ## After a change of notebooks/summaries.py: write the notebook for Jupyter
	$(BIN)/python -m marimo -q export ipynb notebooks/summaries.py --output notebooks/summaries.ipynb --force

.PHONY: format
format: $(VENV)/dev.stamp ## Format the code, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/biome check --write

.PHONY: clean
clean: ## Remove the virtual environment, caches and the demo
	rm -rf $(VENV) mutants .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* $(DEMO)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pins/requirements.txt | $(BIN)/python
	$(INSTALL)/requirements.txt
	@touch $@

$(VENV)/dev.stamp: $(addprefix pins/requirements,-dev.txt -cluster.txt -notebook.txt -run.txt .txt) | $(BIN)/python
	$(INSTALL)/requirements-dev.txt
	@touch $@ $(VENV)/run.stamp

$(VENV)/stack.stamp: pins/requirements-run.txt pins/requirements.txt | $(BIN)/python
	$(INSTALL)/requirements-run.txt
	@touch $@ $(VENV)/run.stamp

$(VENV)/notebook.stamp: pins/requirements-notebook.txt pins/requirements.txt | $(BIN)/python
	$(INSTALL)/requirements-notebook.txt
	@touch $@ $(VENV)/run.stamp

$(VENV)/mutation.stamp: pins/requirements-mutation.txt $(VENV)/dev.stamp | $(BIN)/python
	$(INSTALL)/requirements-mutation.txt
	@touch $@

$(VENV)/pins.stamp: pins/requirements-pins.txt | $(BIN)/python
	$(INSTALL)/requirements-pins.txt
	@touch $@

$(VENV)/bench.stamp: $(addprefix pins/requirements,-bench.txt -cluster.txt .txt) | $(BIN)/python
	$(INSTALL)/requirements-bench.txt
	@touch $@ $(VENV)/run.stamp
