PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test lint types tests slow coverage bench clean

install: .venv/installed            ## the virtual environment .venv with the package

demo: install                       ## the main job on speech that the project makes itself
	$(BIN)/ser demo

test: .venv/installed-dev lint types tests   ## environment, lint, types, tests

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev
	$(BIN)/mypy

tests: .venv/installed-dev          ## several at a time
	$(BIN)/pytest -n auto

slow: .venv/installed-dev           ## trainings on real speech, tortures, what SLURM itself does: 45 minutes on two slow cores
	$(BIN)/pytest -n auto -m slow

coverage: .venv/installed-dev       ## of which lines of ser_lightning the tests run, in all of their processes
	rm -rf .coverage_data
	$(BIN)/coverage run -m pytest -n auto
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --skip-empty --precision 1

bench: .venv/installed-dev          ## every measured ratio against its bar, about twenty minutes on two cores
	$(BIN)/python benchmarks/bench.py

clean:                              ## what demo and the tests left; not .venv, not runs
	rm -rf demo_corpus .ser_cache .coverage_data .pytest_cache .mypy_cache .ruff_cache

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --editable . --constraint constraints.txt
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --editable ".[dev]" --constraint constraints.txt
	touch $@
