# `make help` lists the targets.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON_BIN := .venv/bin/python
RUN_REQUIREMENTS := requirements.txt examples/digits/requirements.txt
TEST_REQUIREMENTS := $(RUN_REQUIREMENTS) tests/requirements.txt
JS_TESTS := $(wildcard tests/js/*.test.js)
# Checks must not touch the data folder of a portal that is in use.
CHECK_DATA := $(CURDIR)/.tools/check-data
MANAGE_CHECK := AML_PORTAL_DATA=$(CHECK_DATA) $(PYTHON_BIN) manage.py

.PHONY: run
run: install assets ## Install what is missing, and run the portal
	@$(PYTHON_BIN) manage.py serve

.PHONY: test
test: test-install assets lint check test-js test-python ## Install what tests need, and run all of them

# All of them wait most of the time, so they do it together.
WHOLE_PORTALS := tests/browser tests/faults tests/portal
RUNS := tests/runs

.PHONY: test-python
test-python: ## Run the Python tests, in three parts at the same time
	@$(MAKE) -j3 --output-sync=target test-portals test-runs test-parts

.PHONY: test-portals
test-portals: ## Run the tests of whole portals: processes, faults, browser
	$(PYTHON_BIN) -m pytest $(WHOLE_PORTALS)

.PHONY: test-runs
test-runs: ## Run the tests of runs, on targets of each kind
	$(PYTHON_BIN) -m pytest $(RUNS)

.PHONY: test-parts
test-parts: ## Run all other Python tests
	$(PYTHON_BIN) -m pytest $(addprefix --ignore=,$(WHOLE_PORTALS) $(RUNS))

.PHONY: test-js
test-js: ## Run the tests of the JavaScript modules
	$(if $(JS_TESTS),$(PYTHON_BIN) -m aml_portal.node --test $(JS_TESTS))

.PHONY: lint
lint: ## Check style and types
	$(PYTHON_BIN) -m ruff check .
	$(PYTHON_BIN) -m ruff format --check .
	$(PYTHON_BIN) -m mypy
	$(PYTHON_BIN) -m djlint --lint templates
	$(PYTHON_BIN) -m djlint --check templates

.PHONY: check
check: ## Check settings and migrations
	$(MANAGE_CHECK) check --fail-level WARNING
	AML_PORTAL_URL=https://portal.example.org $(MANAGE_CHECK) check --deploy --fail-level WARNING
	$(MANAGE_CHECK) makemigrations --check --dry-run

.PHONY: format
format: ## Bring code and templates into shape
	$(PYTHON_BIN) -m ruff check --fix .
	$(PYTHON_BIN) -m ruff format .
	$(PYTHON_BIN) -m djlint --quiet --reformat templates

PICTURED := $(addprefix tests/browser/test_,whole_path.py every_kind.py environments_built.py)

.PHONY: pictures
pictures: test-install assets ## Take the pictures of docs/pictures anew
	$(PYTHON_BIN) -m pytest $(PICTURED) --pictures

.PHONY: bench
bench: test-install assets ## Measure, and write benchmarks/results.md
	@command -v rsync >/dev/null || scripts/apt-install "The benchmarks" rsync
	$(PYTHON_BIN) -m benchmarks

.PHONY: install
install: ## Make .venv with what the portal and its example need
	@scripts/install run $(RUN_REQUIREMENTS)

.PHONY: test-install
test-install: ## Add what the tests need, system packages too
	@scripts/install test $(TEST_REQUIREMENTS)
	@command -v chromium >/dev/null || scripts/apt-install "The browser tests" chromium fonts-liberation
	@$(PYTHON_BIN) -m tests.services.azureml
	@test -x /usr/sbin/sshd -a -x /usr/bin/fish -a -x /sbin/ip || scripts/apt-install "The tests of SSH" openssh-server fish iproute2 procps python3
	@test -x /usr/sbin/dockerd -a -x /usr/bin/docker-registry -a -x /bin/busybox || \
		scripts/apt-install "The tests of Docker" docker.io docker-registry busybox-static
	@test -x /usr/sbin/slurmctld || scripts/apt-install "The tests of Slurm" slurm-wlm munge
	@command -v java >/dev/null || scripts/apt-install "The tests of Spark" openjdk-17-jre-headless

.PHONY: assets
assets: ## Fetch the front-end packages into static/vendor
	@$(PYTHON_BIN) -m aml_portal.assets

.PHONY: clean
clean: ## Remove what was installed and built; the data folder stays
	rm -rf .venv .tools static/vendor tests/output
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16
