# Pale Blue Dot. `make help` lists what there is.
#
# Needs: Python >= 3.11 with venv, make, a package index (PIP_INDEX_URL and pip.conf are honoured).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# A pyenv shim can exist and still not start, so every candidate is asked for its version.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

BIN := .venv/bin
PY := $(BIN)/python
COLLECTION := collections/ansible_collections/palebluedot/gpu
# Packages whose coverage counts, in the order in which they are printed.
COVERED := fleet scheduler api $(COLLECTION)/plugins/module_utils
LINTED := playbooks roles inventory requirements.yml execution-environment.yml \
	$(addprefix $(COLLECTION)/,galaxy.yml meta)
TYPED := fleet scheduler api lab cli ansible_collections.palebluedot.gpu.plugins

# The caller's own service, fleet or Ansible set-up may not decide what a test, the demo or a measurement sees.
CALLERS := $(shell env | sed -n 's/^\(PALEBLUEDOT_[A-Z0-9_]*\|ANSIBLE_[A-Z0-9_]*\|KUBECONFIG\)=.*/\1/p' | grep -v -x PALEBLUEDOT_SHARED)
ISOLATED := env $(addprefix -u ,$(CALLERS))
# ansible-lint asks ansible-playbook for the syntax of everything; the fleet's inventory would ask a service
NO_INVENTORY := $(ISOLATED) ANSIBLE_INVENTORY=/dev/null ANSIBLE_INVENTORY_UNPARSED_FAILED=0 \
	ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=0
export PATH := $(CURDIR)/$(BIN):$(PATH)

# $(call TESTED,how,which,options): the tests; those that failed once more, alone, because many of them wait for real
# processes with a deadline, and a machine that does other things too makes them late. What is wrong fails again.
define TESTED
$(ISOLATED) $(PY) -m pytest $(1) -m "$(2)" $(3) || \
		{ echo "== what failed, once more and alone"; \
		$(ISOLATED) $(PY) -m pytest --last-failed --last-failed-no-failures none -m "$(2)" $(3); }
endef

.PHONY: help setup setup-dev demo serve test coverage peers test-peers compatibility lint sanity bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install into .venv what is needed to run (requirements.lock)
	@PYTHON="$(PYTHON)" deploy/install requirements.lock

setup-dev: ## the same, with what tests and lint need (requirements-dev.lock)
	@PYTHON="$(PYTHON)" deploy/install requirements-dev.lock

demo: setup ## the whole way once: lab, discovery, allocation, release
	@$(ISOLATED) $(PY) -m cli.main demo

serve: setup ## lab and service, until Ctrl-C
	@$(PY) -m cli.main serve --lab

test: setup-dev ## every test that needs no server outside PyPI, with coverage
	@$(PY) -m coverage erase
	$(call TESTED,-n 3 --dist loadfile,not peers and not e2e and not faults,--cov --cov-append --cov-report=)
	$(call TESTED,-n 2 --dist loadfile,(e2e or faults) and not peers,--cov --cov-append --cov-report=)
	@$(MAKE) --no-print-directory coverage

coverage: ## what the last `make test` covered, in percent: at least 85 of each package
	@low=; for package in $(COVERED); do printf '%-70s ' "$$package"; \
		$(PY) -m coverage report --include="$$package/*" --format=total --fail-under=85 || low="$$low $$package"; done; \
		[ -z "$$low" ] || { echo "too low:$$low" >&2; exit 1; }

peers: setup-dev ## get and build the servers of test-peers, as far as this machine can
	PYTHON=$(PY) tests/peers/setup.sh

test-peers: peers ## tests against servers that PyPI does not carry; skips what it cannot get
	$(call TESTED,,peers,)

compatibility: setup-dev ## run the conformance suite on every source that is here; write docs/compatibility
	$(ISOLATED) $(PY) -m tests.conformance

lint: setup-dev ## ruff, mypy --strict, ansible-lint, antsibull-docs, licences, ansible-test sanity, galaxy build and import
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(addprefix -p ,$(TYPED))
	$(NO_INVENTORY) $(BIN)/ansible-lint --offline --profile production $(LINTED)
	$(ISOLATED) $(BIN)/antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs all $(COLLECTION)
	cd $(COLLECTION) && $(ISOLATED) antsibull-changelog lint
	$(PY) -m tests.licences requirements.lock
	$(ISOLATED) tests/galaxy.sh
	$(ISOLATED) tests/sanity.sh

sanity: setup-dev ## ansible-test sanity alone; minutes the first time
	$(ISOLATED) tests/sanity.sh

bench: setup ## JSON: CPU seconds and ratios of one run
	@$(ISOLATED) $(PY) -m benchmarks.run

clean: ## remove what was built; a .venv that is a symlink is left alone
	rm -rf var build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* .ansible
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
	@if [ -L .venv ]; then echo ".venv is a symlink: left alone"; else rm -rf .venv; fi
