# Two commands: `make demo` and `make test`. `make help` lists all.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))) python3.11)
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# Many tests wait for processes: some more of them at a time keep the processors busy.
WAITING := 2
PARALLEL = -n $(shell expr $(WORKERS) + $(WAITING)) --dist worksteal
# A test that fails, say because the machine was busy, is run once more, and listed as RERUN.
ONCE_MORE := --reruns 1 -raR
PROGRAM := api core jobs notifier stack
# Without the warning that it does not read constraints.txt.
DEPTRY := $(BIN)/python -W ignore -m deptry --config deptry.toml
KERNELS := .cache/kernels.stamp
KERNEL_TESTS := tests/jobs/decode tests/jobs/aggregate $(addprefix tests/jobs/sources/,test_csv.py test_parquet.py)
# The tests of the packages whose coverage is measured.
COVERED_TESTS := tests/core tests/jobs
# Of these, the ones that run the lines that others run, and are not measured: that end processes at moment after moment, have
# many at once, go through whole jobs in many a case, cut a source at every place, or compare numbers with those of another
# way to the same; and those of kernels, which are measured where the kernels run as Python.
UNMEASURED_TESTS := $(KERNEL_TESTS) $(wildcard tests/jobs/*/test_*kills.py tests/jobs/*/test_*signals.py) \
    $(addprefix tests/jobs/refreshing/test_,refresh_broken.py retention.py refresh_gaps.py \
        refresh_rejects.py days_complete.py written_meanwhile.py refresh_command.py undated.py \
        verify_overtaken.py) \
    $(addprefix tests/jobs/cli/test_,stored_versions.py two_rebuilds.py zone_rules.py amount_options.py bad_input.py) \
    $(addprefix tests/jobs/sources/,test_shop_forms.py test_cut_off.py test_archives.py remote/test_remote_sources.py) \
    $(addprefix tests/jobs/sources/live/test_live_,oldest.py broken.py) \
    tests/jobs/partitions/test_partitions.py $(addprefix tests/jobs/partitions/cluster/test_cluster_,sources.py failures.py) \
    $(addprefix tests/jobs/publish/test_,rebuild_shrinking.py replacing_meddled.py) tests/jobs/runs/test_quarantine_limit.py \
    $(addprefix tests/jobs/test_,rebuild_at_once.py rebuild_counting.py warm.py) \
    $(wildcard tests/core/stores/test_*_at_once.py) $(addprefix tests/core/test_calendar_,days.py keys.py jalali.py periods.py zones.py)
OTHER_TESTS := $(filter-out $(COVERED_TESTS) tests/image tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))
# The least coverage of branches and lines, in percent, that `make test` accepts under CI=true. Elsewhere tests are skipped
# that lack a program of the system, and what only they run is not covered.
COVERAGE_FLOOR := 95

# What one process compiles is there for the next, whatever the environment says: the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

# Each of pins/ names every package that its namesake leads to, with hashes, and pip takes nothing else.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r pins
# Images for the tests; those that `make image` makes are where Docker or buildah keep theirs.
IMAGES := .cache/image/storage

DEMO := demo
DEMO_STORE := sqlite:///$(DEMO)/summaries.db

.PHONY: help
help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: demo
demo: $(VENV)/run.stamp ## Write a sample mongodump archive, rebuild the summaries from it, show some
	@mkdir -p $(DEMO)
	@echo "The first run compiles the decoders, which takes five to fifteen seconds."
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
run: $(VENV)/stack.stamp ## Run API, worker, beat and Redis until Ctrl-C, over an SQLite store in run-data/; PORT=8000
	@$(BIN)/python -m stack $(if $(PORT),--port $(PORT))

.PHONY: test
test: ## Run every check and every test; with THOROUGH=1 more examples of each property, and more kills
	@$(MAKE) --no-print-directory --jobs=2 style $(KERNELS)
	@$(MAKE) --no-print-directory cover
	@# Checking types takes one processor half a minute, which these tests leave idle while they wait.
	@$(MAKE) --no-print-directory --jobs=2 types others

.PHONY: lint
lint: style types ## Check format, style, types and the direction of imports

.PHONY: style
style: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/biome check --error-on-warnings
	@# Dead code: first without the tests, so that what only they use counts as dead; then theirs, and that of the tools.
	$(BIN)/vulture $(PROGRAM)
	$(BIN)/vulture $(PROGRAM) bench docker docs observability tests hatch_build.py
	@# Packages that nothing imports: first of those that the program runs on, for which tests do not count; then of all others.
	$(DEPTRY) $(PROGRAM)
	$(DEPTRY) . --requirements-files requirements-bench.txt,requirements-mutation.txt --ignore DEP001,DEP003,DEP004
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint --failure-threshold style Dockerfile

.PHONY: types
types: $(VENV)/dev.stamp
	$(BIN)/mypy

.PHONY: cover
cover: $(VENV)/dev.stamp $(KERNELS) ## Run the tests of core and jobs, and report their coverage; with CI=true require its floor
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest $(PARALLEL) $(ONCE_MORE) $(COVERED_TESTS) $(addprefix --ignore=,$(UNMEASURED_TESTS))
	@# Lines of kernels are seen only where they run as Python: these tests run all of them.
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest $(PARALLEL) $(KERNEL_TESTS)
	@# Processes that the tests kill leave broken data files behind, about which combine would warn.
	$(BIN)/python -W ignore -m coverage combine --quiet
	@rm -f .coverage.*
	$(BIN)/coverage report $(if $(filter true,$(CI)),--fail-under=$(COVERAGE_FLOOR))

.PHONY: others
# A quarter of their time they wait.
others: WAITING := 3
others: $(VENV)/dev.stamp $(KERNELS) ## Run the other tests: measuring them costs a third more, and most of their time is other programs'
	$(BIN)/python -m pytest $(PARALLEL) $(ONCE_MORE) $(OTHER_TESTS) $(UNMEASURED_TESTS)

.PHONY: test-clock
test-clock: $(VENV)/dev.stamp $(KERNELS) ## Run the tests that depend on the wall clock with another; each day has its own
	@# The times of files are not moved, with which the health of containers is compared. Pages and documents read the clock
	@# in programs that other tests run, and the image is not built here.
	$(BIN)/python tests/clock/moved.py $(BIN)/python -m pytest $(PARALLEL) $(ONCE_MORE) -m clock \
	    $(addprefix --ignore=tests/,deploy docs image api/dashboard)

.PHONY: image
image: | $(BIN)/python ## Build the image transaction-summary:local, with Docker or else with buildah; BASE=debian asks no registry
	$(BIN)/python docker/build_image.py $(if $(filter debian,$(BASE)),--debian-base)

.PHONY: test-image
test-image: $(VENV)/dev.stamp ## Build the image with buildah, as root, and run each service of docker-compose.yml in it
	$(BIN)/python tests/image/prepare.py
	@# What buildah mounts is gone with the namespace of its mounts.
	unshare --mount $(BIN)/python docker/build_image.py --storage $(IMAGES) --debian-base
	@# On a network of their own, the services have the ports of docker-compose.yml whatever else runs here.
	IMAGE_STORAGE=$(IMAGES) unshare --net --mount sh -c 'ip link set lo up && exec $(BIN)/python -m pytest tests/image'

.PHONY: mutation
mutation: $(VENV)/mutation.stamp ## Change the most delicate modules in a thousand ways, and list what no test noticed
	rm -rf mutants
	NUMBA_DISABLE_JIT=1 $(BIN)/mutmut run --max-children $(WORKERS)
	$(BIN)/python tests/mutation/report.py

$(KERNELS): $(wildcard jobs/decode/*.py jobs/aggregate/*.py) tests/jobs/helpers/kernels.py | $(VENV)/dev.stamp
	@echo "Compiling the decoders, which takes half a minute."
	@mkdir -p $(@D)
	$(BIN)/python tests/jobs/helpers/kernels.py
	@touch $@

.PHONY: pins
pins: $(VENV)/pins.stamp ## After a change of requirements*.txt: pin all packages that these lead to, and report licences; UPGRADE=1
	$(BIN)/python docs/make_pins.py $(if $(UPGRADE),--upgrade)
	$(INSTALL)/requirements.txt
	$(BIN)/python docs/make_licences.py

.PHONY: audit
audit: $(VENV)/pins.stamp ## Look up known vulnerabilities of all pinned packages; TOLERANT=1 where the index does not tell of them
	$(BIN)/python docs/audit_pins.py $(if $(TOLERANT),--tolerate-unknown)

.PHONY: docs
docs: $(VENV)/dev.stamp ## Write the settings into README.md and kubernetes/
	$(BIN)/python docs/make_settings.py
	$(BIN)/python docs/make_kubernetes.py

.PHONY: screenshots
screenshots: $(VENV)/dev.stamp ## Take the pictures of README.md from the real dashboard, in Chromium
	$(BIN)/python docs/make_screenshots.py

.PHONY: bench
bench: $(VENV)/bench.stamp ## Measure this program beside its peers; writes bench/RESULTS.md
	$(BIN)/python -m bench

.PHONY: notebook
notebook: $(VENV)/notebook.stamp ## Open notebooks/summaries.py over the store of STORE_URL
	$(BIN)/python -m marimo edit notebooks/summaries.py

.PHONY: jupyter
jupyter: $(VENV)/dev.stamp ## After a change of notebooks/summaries.py: write the same for Jupyter
	$(BIN)/python -m marimo -q export ipynb notebooks/summaries.py --output notebooks/summaries.ipynb --force

.PHONY: format
format: $(VENV)/dev.stamp ## Format the sources and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/biome check --write

.PHONY: clean
clean: ## Remove what was made: the virtual environment, caches, the demo
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
