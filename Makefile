# On a bare Debian 12 with Python 3.11: "make demo" shows what this is, "make test" runs everything.
# Both set up what they need; only "make test" installs servers, which takes root or sudo.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
USABLE := $(VENV)/.usable

.DEFAULT_GOAL := help
.PHONY: help venv demo servers check lint types docs-check docs site pytest quick store test-api coverage test test-galera test-failover bench measure constraints clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv: $(READY) ## Make .venv with everything that development needs

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh demo/install-venv.sh
	$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(USABLE)

$(USABLE): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[http]'
	@touch $@

demo: $(USABLE) ## Create, show, verify, delete, restore and purge accounts in a store of its own
	@sh demo/run.sh

servers: ## Install the database and mail servers that the tests start privately
	sh tests/servers/install.sh

check: lint types docs-check ## Everything that can be said without running it

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy
	$(BIN)/mypy -p tests.servers
	$(BIN)/mypy -p bench
	$(BIN)/mypy docs/generate.py docs/conf.py examples

docs-check: $(READY)
	$(BIN)/python docs/generate.py --check

site: $(READY) ## Make the documentation site in build/site; a warning or a broken link fails
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/site
	@echo "build/site/index.html"

docs: $(READY) ## Write the generated pages anew
	$(BIN)/python docs/generate.py

pytest: $(READY)
	$(BIN)/python -m pytest -q -n auto --dist worksteal

# One SQL engine and one way to the directory: what is tried on all of them is the same code.
ELSEWHERE := mysql or postgresql or afterlogic or atmail or starttls or ldapi or mariadb

quick: $(READY) ## The contract on SQLite, a box and a directory, and what needs no server: for the inner loop
	$(BIN)/python -m pytest -q -n auto --dist worksteal tests/contract tests/iredmail tests/test_values.py \
	    tests/test_hashes.py tests/test_architecture.py tests/test_cli.py -k "not ($(ELSEWHERE))"

store: $(READY) ## All tests of one store: make store NAME=atmail
	@[ -n "$(NAME)" ] || { echo "give the name of a folder of tests: make store NAME=atmail" >&2; exit 1; }
	$(BIN)/python -m pytest -q -n auto --dist worksteal tests/$(NAME) tests/contract -k "$(NAME)"

test-api: $(READY) ## Fuzz the API /v1 with schemathesis, in a .venv of its own; EXAMPLES=1000 for longer
	@[ -x .venv-api/bin/schemathesis ] || { $(PYTHON) -m venv .venv-api && \
	    .venv-api/bin/python -m pip install -q --disable-pip-version-check 'schemathesis>=4,<5'; }
	$(BIN)/python -m tests.api.fuzz .venv-api/bin/schemathesis $(EXAMPLES)

.PHONY: test-migrations
test-migrations: $(READY) ## From every kind of store into every other, with the mail servers around them
	MAILSTORE_EVERY_PAIR=1 $(BIN)/python -m pytest -q -n auto --dist loadfile tests/transfer/test_pairs.py

coverage: $(READY) ## Lines and branches that the tests run
	$(BIN)/python -m pytest -q -n auto --dist worksteal --cov --cov-branch --cov-report=term:skip-covered

test: ## Set everything up, install the servers, and run all checks and tests
	$(MAKE) servers
	$(MAKE) check
	$(MAKE) pytest

test-failover: $(READY) ## Servers that are stopped, isolated or read-only under load
	$(BIN)/python -m pytest -q -n 0 tests/cluster/test_failover.py

test-galera: $(READY) ## The races on a cluster of three nodes, 200 rounds each, and a restore at each step of a purge
	MAILSTORE_ROUNDS=200 $(BIN)/python -m pytest -q -n 0 -o timeout=1800 tests/cluster

.PHONY: test-kit
test-kit: $(READY) ## The rules and the dashboard with Prometheus itself, which this installs
	@command -v promtool >/dev/null || sh tests/servers/install.sh prometheus
	$(BIN)/python -m pytest -q -n 0 tests/kit

bench: $(READY) ## Measure against hand-written code, in 15 minutes, and note it in docs/performance.md; QUICK=1 only tries it
	$(BIN)/python -m bench.run $(if $(QUICK),--quick,--write docs/performance.md)

TOOLS := build/tools
# Files that are made have the time of the last commit: the same commit makes the same packages.
EPOCH = $(shell git log -1 --format=%ct)

$(TOOLS)/.ready: pyproject.toml | $(BIN)/python
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install -q --disable-pip-version-check build twine cyclonedx-bom
	@touch $@

.PHONY: dist
dist: $(TOOLS)/.ready ## Make the wheel and the source package in dist, the same from the same commit, and check their metadata
	rm -f dist/mailstore-*.whl dist/mailstore-*.tar.gz
	SOURCE_DATE_EPOCH=$(EPOCH) $(TOOLS)/bin/python -m build --quiet --outdir dist .
	$(TOOLS)/bin/twine check --strict dist/mailstore-*.whl dist/mailstore-*.tar.gz

.PHONY: test-wheel
test-wheel: dist ## Install the wheel with each extra into an environment that has nothing else, and use it there
	PYTHON=$(PYTHON) sh packaging/try-wheel.sh dist/mailstore-*.whl

.PHONY: deb
deb: dist ## Make a Debian package in dist for the Python of this system
	SOURCE_DATE_EPOCH=$(EPOCH) sh packaging/debian/build.sh dist/mailstore-*.whl dist

.PHONY: test-deb
test-deb: deb ## Install, upgrade and remove that package in a throw-away copy of this system; needs root
	sh packaging/debian/try.sh dist/mailstore_*.deb

.PHONY: release
release: deb ## All packages, what they are made of (CycloneDX), and checksums, in dist
	SOURCE_DATE_EPOCH=$(EPOCH) PYTHON=$(PYTHON) sh packaging/bill.sh dist/mailstore-*.whl $(TOOLS)/bin/cyclonedx-py dist/mailstore.cdx.json
	cd dist && sha256sum mailstore*.whl mailstore*.tar.gz mailstore*.deb mailstore.cdx.json > SHA256SUMS

measure: $(READY) ## Print the tables of the house in docs/architecture.md; BEFORE=revision compares. Runs all tests
	$(BIN)/python -m bench.house $(BEFORE)
	$(BIN)/python -m bench.suite

constraints: $(READY) ## Note the installed versions as those that are tested
	@$(BIN)/python -m pip list --format=freeze --disable-pip-version-check --exclude-editable \
	    --exclude pip --exclude setuptools --exclude wheel > constraints.new
	@{ echo '# The versions that are tested; "make constraints" writes this file anew.'; cat constraints.new; } \
	    > constraints.txt
	@rm constraints.new

clean: ## Remove what was made here
	rm -rf $(VENV) .venv-api .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
