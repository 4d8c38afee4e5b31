# Two commands from a bare machine with python3 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SHARED ?= ../shared/data
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1

.PHONY: model-page published-page help install demo test check bench docs task-pages format lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

install: $(STAMP) ## build the environment in .venv

$(STAMP): requirements/dev.txt requirements/installer.txt pyproject.toml
	$(PYTHON) requirements/make_environment.py $(VENV)
	touch $@

demo: $(STAMP) ## the whole thing on generated phantoms
	$(BIN)/medtransfer demo

test: $(STAMP) ## run all tests
	$(BIN)/python -m pytest -n auto

check: $(STAMP) ## format, lint, types, layers, docstrings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate src

bench: $(STAMP) ## speed bars as ratios
	$(BIN)/python -m benchmarks

docs: $(STAMP) ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

model-page: $(STAMP) ## write the table of source models from their records
	$(BIN)/python -m medtransfer.reports.model_page docs/source-models.md

task-pages: $(STAMP) ## write the pages of the data sets from their records
	$(BIN)/python -m medtransfer.reports.task_pages docs/tasks

published-page: $(STAMP) ## write the page of re-read studies and its pictures from the shipped numbers
	$(BIN)/python -m medtransfer.reports.published.page docs/published.md

format: $(STAMP) ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(STAMP) ## resolve the hashed requirements files again
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra postgres --generate-hashes --no-emit-index-url --no-annotate --no-header -q -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra postgres --extra openvino --group dev --generate-hashes --no-emit-index-url --no-annotate --no-header -q -o requirements/dev.txt

clean: ## remove the environment and what was built
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache
