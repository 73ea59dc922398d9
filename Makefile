# Vouch, from a fresh clone to a conversation. `make` alone lists what there is.
#
# Variables, all optional, as in `make chat PORT=8080`:
#   PORT, HOST        where the page listens (7860 on 127.0.0.1)
#   MODEL             builtin, a folder, a Hugging Face name, or a server's model name
#   ADAPTER, BASE_URL a LoRA adapter for that model; an OpenAI-compatible server
#   WORKSPACE         folder of a workspace; the built-in films without one
#   DATA              folder of the public data sets: recipes, benchmarks and the tests marked `data`
#   PIP_ARGS          passed to pip, for instance a package index for the CPU build of PyTorch
#   PYTHON            interpreter for the virtual environment; found by itself otherwise
#   ARGS              passed to pytest or to the benchmarks

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV ?= .venv
OUT ?= workspaces
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.vouch-runtime
DEV := $(VENV)/.vouch-dev
PIP = $(BIN)/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt $(PIP_ARGS)

# Libraries are not compiled on installation: what is used is compiled on first use, and kept for the second start.
unexport PYTHONDONTWRITEBYTECODE

# Some shells export HOST as the machine's name: it counts only on the command line of make.
ifneq ($(origin HOST),command line)
HOST :=
endif
MODEL_FLAGS = $(if $(MODEL),--model "$(MODEL)") $(if $(ADAPTER),--adapter "$(ADAPTER)") $(if $(BASE_URL),--base-url "$(BASE_URL)")
FLAGS = $(if $(WORKSPACE),--workspace "$(WORKSPACE)") $(MODEL_FLAGS)
DATA_FOLDER = $(if $(DATA),$(abspath $(DATA)),$(VOUCH_DATA))

# The first interpreter that is 3.11, 3.12 or 3.13 with venv and pip; then any newer one.
SUITS = import sys, venv, ensurepip; sys.exit(not ((3, 11) <= sys.version_info < (3, limit)))
FIND_PYTHON = for limit in 14 99; do for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c "limit = $$limit; $(SUITS)" >/dev/null 2>&1 && { echo "$$p"; exit; }; done; done

.PHONY: help chat test check bench bench-quality docs movielens-small movielens-2023 wikipedia constraints clean

help:  ## List the commands (this is the default)
	@echo "Vouch: recommendations in conversation, each with a reason it can vouch for."
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*##  *\(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-24s %s\n", $$1, $$2 }'
	@echo
	@echo "Variables: PORT HOST MODEL ADAPTER BASE_URL WORKSPACE DATA PIP_ARGS PYTHON ARGS (see the top of the Makefile)."

chat: $(RUNTIME)  ## Install on first use, then serve the chat page and print its address
	@echo "Starting Vouch. Open the address below in a browser."
	@exec $(BIN)/vouch serve $(if $(HOST),--host "$(HOST)") $(if $(PORT),--port "$(PORT)") $(FLAGS)

test: $(DEV)  ## Run all tests (needs no network; DATA= adds those on public data)
	@echo "Running the tests$(if $(DATA_FOLDER), with public data from $(DATA_FOLDER))."
	@$(if $(DATA_FOLDER),VOUCH_DATA="$(DATA_FOLDER)") $(BIN)/python -m pytest $(ARGS)

check: $(DEV)  ## Lint, format, types, import direction, documentation
	@echo "ruff: lint" && $(BIN)/ruff check .
	@echo "ruff: format" && $(BIN)/ruff format --check .
	@echo "pyright: types" && $(BIN)/pyright
	@echo "import-linter: who may import whom" && $(BIN)/lint-imports
	@echo "documentation: generated parts, links, commands, tree" && $(BIN)/python docs/generate.py --check
	@$(BIN)/python -m pytest -q tests/test_docs.py tests/test_architecture.py

bench: $(DEV)  ## Measure the time of each stage of a turn on this machine
	@found=0; for script in bench/[a-z]*.py; do [ -f "$$script" ] || continue; found=1; \
		echo "Measuring: $$script"; $(if $(DATA_FOLDER),VOUCH_DATA="$(DATA_FOLDER)") $(BIN)/python "$$script" $(ARGS) || exit 1; done; \
	[ "$$found" = 1 ] || echo "There is no measurement in bench/."

bench-quality: $(DEV)  ## Measure understanding, reasons and broken constraints; with DATA= also recommendations (hours)
	@echo "Answering the messages with hand-written gold; the report goes to runs/messages."
	@$(BIN)/python -m vouchrec.evals.messages --out runs/messages
	@$(if $(DATA_FOLDER),echo "Measuring recommendations for held-out histories; writes docs/results-histories.md.",\
		echo "Held-out histories are left out: they need DATA=.")
	@$(if $(DATA_FOLDER),$(BIN)/python -m vouchrec.evals.histories --data "$(DATA_FOLDER)",true)
	@$(if $(DATA_FOLDER),for name in implicit_ml1m sequential explicit second_domain; do \
		$(BIN)/python -m vouchrec.evals.benchmarks.$$name --data "$(DATA_FOLDER)" --out "runs/$$name" || exit 1; done,true)
	@$(if $(DATA_FOLDER),$(BIN)/python -m vouchrec.evals.redial --data "$(DATA_FOLDER)" --out runs/redial --test,true)

docs: $(DEV)  ## Write the generated pages and parts of pages anew
	@echo "Writing docs/cli.md, and the tree and the results of README.md."
	@$(BIN)/python docs/generate.py

movielens-small: $(RUNTIME)  ## Make a workspace of ml-latest-small with Wikipedia texts (needs DATA=)
	@$(call make_workspace,$@)

movielens-2023: $(RUNTIME)  ## Make a workspace of the 2023 MovieLens sample with Wikipedia texts (needs DATA=)
	@$(call make_workspace,$@)

wikipedia: $(RUNTIME)  ## Make a workspace of 36,273 films from Wikipedia, without ratings (needs DATA=)
	@$(call make_workspace,$@)

constraints: $(DEV)  ## Write constraints.txt anew from the versions installed in the virtual environment
	@echo "Writing constraints.txt."
	@{ sed -n '/^#/p' constraints.txt; \
		{ $(BIN)/python -m pip list --disable-pip-version-check --format=freeze \
			| sed -e '/^pip=/d' -e '/^vouchrec=/d' -e 's/+[a-z0-9.]*$$//'; \
		  sed -n '/ ; /p' constraints.txt; } | LC_ALL=C sort -f -u; } > constraints.tmp
	@mv constraints.tmp constraints.txt

clean:  ## Remove caches and build results; workspaces and the virtual environment stay
	@echo "Removing caches and build results ($(VENV) and $(OUT) stay; remove them by hand)."
	@rm -rf dist build .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -not -path './.git/*' -prune -exec rm -rf {} +

# ---- what the commands need --------------------------------------------------------------------------------------

define need_data
if [ -z "$(DATA_FOLDER)" ]; then \
	echo "make $(1) needs the folder of the public data sets: make $(1) DATA=/path/to/data (see docs/how-to/movielens.md)." >&2; exit 2; fi
endef

define make_workspace
$(call need_data,$(1)); \
echo "Converting public files, then making the workspace $(OUT)/$(1)."; \
$(BIN)/python -m vouchrec.retrieval.recipes $(1) --data "$(DATA_FOLDER)" --out "$(OUT)/$(1)/source" && \
$(BIN)/vouch init --items "$(OUT)/$(1)/source/items.jsonl" \
	$$(test ! -f "$(OUT)/$(1)/source/interactions.csv" || echo --interactions "$(OUT)/$(1)/source/interactions.csv") \
	--domain "$(OUT)/$(1)/source/domain.toml" --workspace "$(OUT)/$(1)"
endef

$(VENV)/pyvenv.cfg:
	@python="$(PYTHON)"; [ -n "$$python" ] || python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ] || ! "$$python" -c "limit = 99; $(SUITS)" 2>/dev/null; then \
		echo "Vouch needs Python 3.11 or newer with its venv module; found $$("$${python:-python3}" --version 2>&1 || echo none)." >&2; \
		echo "Install one (Debian and Ubuntu: apt-get install python3 python3-venv), or name one: make PYTHON=python3.12 ..." >&2; \
		exit 1; fi; \
	echo "Making the virtual environment $(VENV) with $$("$$python" --version)."; \
	"$$python" -m venv "$(VENV)"

# PyTorch first: what needs it then finds it installed, whichever build PIP_ARGS chose.
$(RUNTIME): $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	@echo "Installing PyTorch, then Vouch's other libraries (a few minutes the first time)."
	@$(PIP) torch
	@$(PIP) --quiet -e .
	@touch $@

$(DEV): $(RUNTIME)
	@echo "Installing what tests and checks need."
	@$(PIP) --quiet -e '.[dev]'
	@touch $@
