# Everything a contributor runs. Needs git, make and Python 3.11 or newer; 'make setup' gets the rest.

# The first of these that really runs and is new enough: a version manager may put programs into PATH that only fail.
# The system's own comes first: distributions build it with optimizations that take a quarter off every run.
PYTHON ?= $(shell for python in /usr/bin/python3 python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)
RUN = $(PYTHON) tests/run.py
# The product of the demo.
PRODUCT ?= jira

.PHONY: help setup demo test lint unit versions molecule fidelity bench clean distclean python
.DEFAULT_GOAL := help

help: ## Show this help
	@echo "Usage: make TARGET"
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' Makefile | expand -t 14

python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or newer found. On Debian 12 or newer: apt-get install python3; or say make PYTHON=/path/to/python3" >&2; \
		exit 1; fi

setup: python ## Install system packages, the Python environment .venv and the images of the test hosts
	@$(RUN) setup

demo: python ## Audit an unhardened product on a test host (PRODUCT=jira), harden it, audit it again
	@$(RUN) demo "$(PRODUCT)"

test: python ## Run everything: lint, unit, versions, molecule, fidelity
	@$(RUN) test

lint: python ## Run ansible-lint, antsibull's linters, mypy, ruff and yamllint
	@$(RUN) lint

unit: python ## Run the unit tests
	@$(RUN) unit

versions: python ## Run ansible-test sanity and unit tests with each version of ansible-core
	@$(RUN) versions

molecule: python ## Run the Molecule scenarios on test hosts
	@$(RUN) molecule

fidelity: python ## Run the mutation and check-mode proofs on test hosts
	@$(RUN) fidelity

bench: python ## Measure the tree walk, an audit and filters, write docs/performance.md
	@$(RUN) bench

clean: python ## Remove all test hosts and results, keep what setup made
	@$(RUN) clean

distclean: python ## Remove everything make has made, images and .venv too
	@$(RUN) distclean
