# Everything a person does here. Nothing needs an activated environment or an exported variable.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
UV_VERSION := 0.13.9
# Extras of pyproject.toml to install, remembered in the environment: `make setup EXTRAS=dev,cuda`.
EXTRAS ?= $(or $(shell cat .venv/.extras 2>/dev/null),dev)

BIN := .venv/bin
# The system's certificates: a network that signs with its own is trusted as soon as the system trusts it.
UV := $(BIN)/uv
STAMP := .venv/.installed-$(UV_VERSION)-$(EXTRAS)
export UV_SYSTEM_CERTS := 1
SNAKEMAKE := $(BIN)/snakemake
say = @printf '%s\n' $(1)

##@ Run
.PHONY: demo demo-long demo-finetune region
demo: setup ## The embedded demo: simulates a small genome and runs the whole workflow on it
	@$(SNAKEMAKE)
	$(call say,'report: results/demo/report/index.html')

demo-long: setup ## The same demo, larger and longer: models near the oracle, variants that are found; within an hour
	@$(SNAKEMAKE) --configfile config/demo.yaml config/demo_long.yaml
	$(call say,'report: results/demo_long/report/index.html')

demo-finetune: setup ## A biosample that the demo's student never saw: fine-tuning against training from scratch
	@$(SNAKEMAKE) ablations --configfile config/demo.yaml config/demo_finetune.yaml
	@cut -f 1-11 results/demo_finetune/evaluation/compared.tsv | grep -E 'metric|pearson|auprc'

region: setup ## The same workflow on real public data (config/region.yaml)
	@$(SNAKEMAKE) --configfile config/region.yaml
	$(call say,'report: results/region/report/index.html')

##@ Set up
.PHONY: setup doctor clean
setup: $(STAMP) .tools/.star ## Python packages into .venv at the locked versions, bedtools and STAR
	@:

doctor: setup ## What this machine offers: devices, tools, versions, space
	@$(BIN)/megabase doctor

clean: ## Removes the environment, tools and caches; keeps data/ and results/
	@rm -rf .venv .tools .cache .mypy_cache .pytest_cache .ruff_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Test
.PHONY: check test test-long
check: setup ## Formatting, types and workflow lint
	$(call say,'ruff')
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo 'not formatted: run `.venv/bin/ruff format .`' >&2; exit 1; }
	$(call say,'snakefmt')
	@$(BIN)/snakefmt --check Snakefile workflow/rules
	$(call say,'mypy')
	@$(BIN)/mypy --no-error-summary
	$(call say,'snakemake --lint')
	@$(SNAKEMAKE) --lint > .tools/lint.log 2>&1 || { cat .tools/lint.log >&2; exit 1; }

test: check ## All checks and tests: two cores, no network, under 20 minutes
	$(call say,'pytest')
	@$(BIN)/pytest -q -m 'not long'

test-long: check ## The tests with their full counts, within an hour
	@$(BIN)/pytest -q

##@ Measure
.PHONY: bench bench-dag bench-store bench-model bench-train bench-signal bench-score
bench: bench-dag bench-signal bench-store bench-model bench-train bench-score ## All benchmarks

bench-dag: setup ## Planning the paper's config and the demo's
	@$(BIN)/python benchmarks/bench_dag.py

bench-signal: setup ## Reading source files
	@$(BIN)/python benchmarks/bench_signal.py

bench-store: setup ## Writing and reading the store
	@$(BIN)/python benchmarks/bench_store.py

bench-model: setup ## Forward pass and training step
	@$(BIN)/python benchmarks/bench_model.py

bench-train: setup ## What the training loop costs beside the bare update
	@$(BIN)/python benchmarks/bench_train.py

bench-score: setup ## Scoring of variants: shared windows, overhead, large files
	@$(BIN)/python benchmarks/bench_score.py

##@ Maintain
.PHONY: generate lock format
generate: setup ## Rewrites what is generated: config schema, tables of config/README.md, envs/
	@$(BIN)/python -m megabase.repository.generate

format: setup ## Formats Python and Snakemake code
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix . && $(BIN)/snakefmt Snakefile workflow/rules 2> /dev/null

lock: $(UV) ## Resolves pyproject.toml into requirements.lock (newest versions: LOCK=--upgrade) and envs/
	@$(UV) pip compile -q --universal --all-extras --generate-hashes --no-emit-index-url \
		--python-version 3.11 $(LOCK) pyproject.toml -o requirements.lock
	@$(MAKE) generate

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The environment. Its stamps are named after what they hold, so a new version or extra installs again by itself.
.venv/bin/python:
	@command -v $(PYTHON) > /dev/null || { echo 'error: no $(PYTHON); install Python 3.11 or newer' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: $$($(PYTHON) --version) is too old; give a newer one: make setup PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2> /dev/null || { \
		echo 'error: $(PYTHON) cannot make environments; install them: apt-get install python3-venv' >&2; exit 1; }
	$(call say,'environment: .venv')
	@$(PYTHON) -m venv .venv

$(UV): | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(STAMP): requirements.lock pyproject.toml | $(UV)
	$(call say,'packages: $(EXTRAS) at the versions of requirements.lock')
	@test "$$($(UV) --version | cut -d' ' -f2)" = $(UV_VERSION) || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(UV) pip install --quiet --python $(BIN)/python --constraint requirements.lock --editable '.[$(EXTRAS)]'
	@printf '%s' '$(EXTRAS)' > .venv/.extras
	@touch $@

# bedtools from PATH where there is one, else the distribution's package, unpacked here without root.
.tools/.bedtools:
	@mkdir -p .tools
	@if ! command -v bedtools > /dev/null; then \
		if command -v apt-get > /dev/null && command -v dpkg > /dev/null; then \
			echo 'bedtools: unpacking the distribution package into .tools'; \
			cd .tools; \
			apt-get download bedtools > apt.log 2>&1 \
				|| { apt-get update >> apt.log 2>&1 && apt-get download bedtools >> apt.log 2>&1; } || true; \
			for package in bedtools_*.deb; do test -f "$$package" && dpkg -x "$$package" . || true; done; \
			rm -f bedtools_*.deb; cd ..; \
		fi; \
		.tools/usr/bin/bedtools --version > /dev/null 2>&1 || { \
			echo 'error: no bedtools; install it: apt-get install bedtools, or brew install bedtools' >&2; exit 1; }; \
	fi
	@touch $@

# STAR likewise, with the libraries that this system lacks; after bedtools, whose packages lie in the same folder.
.tools/.star: .tools/.bedtools
	@if ! command -v STAR > /dev/null; then \
		if command -v apt-get > /dev/null && command -v dpkg > /dev/null; then \
			echo 'STAR: unpacking the distribution package into .tools'; \
			cd .tools; \
			wanted() { apt-get -s install --no-install-recommends rna-star 2>> apt.log | awk '/^Inst/ { print $$2 }'; }; \
			packages=$$(wanted) || { apt-get update >> apt.log 2>&1 && packages=$$(wanted); } || true; \
			apt-get download $${packages:-rna-star} >> apt.log 2>&1 \
				|| { apt-get update >> apt.log 2>&1 && apt-get download $${packages:-rna-star} >> apt.log 2>&1; } || true; \
			for package in *.deb; do test -f "$$package" && dpkg -x "$$package" . || true; done; \
			rm -f *.deb; cd ..; \
		fi; \
		$(BIN)/python -m megabase.signal.splicing.star > /dev/null 2>&1 || { \
			echo 'error: no STAR; install it: apt-get install rna-star, or conda install -c bioconda star' >&2; exit 1; }; \
	fi
	@touch $@
