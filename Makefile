# Every target makes what it needs by itself: a virtual environment in .venv, with plain python3 -m venv and pip.
PYTHON ?= python3
BIN := .venv/bin
TESTS ?= tests

.PHONY: help demo demo-real test test-fast test-real mutations mutants simulate crash-points bench-ceph bench-engine bench-plan bench-poller bench-tell bench-watch bench-web bench-witness lint format clean

help:
	@echo "make demo     the whole story on the embedded lab: about a minute; reports in ./demo-out"
	@echo "make demo-real  the same on real QEMU guests, IPMI and Ceph: minutes; as root, after scripts/install-real-parts"
	@echo "make test     all tests: the fast lane, then those that need real parts (skipped with a reason where absent)"
	@echo "make crash-points  crash a run at every point there is, each alone: a quarter of an hour"
	@echo "make mutations  break noout on purpose in every way listed, and see that a test notices each"
	@echo "make simulate histories from a seed, with every trouble there is, until stopped (SIMULATE=--seconds=600)"
	@echo "make mutants  break noout on purpose and see that the simulation notices (half an hour or more)"
	@echo "make bench-ceph  what noout saves on a real Ceph, with and without (some minutes; needs Debian's Ceph)"
	@echo "make bench-engine  what a durable step, a waiting maintenance and an evacuation cost (half an hour; BENCH=--quick)"
	@echo "make bench-plan  how good plans are, on clusters that can be emptied, beside others' (a quarter of an hour)"
	@echo "make bench-poller  how many BMCs one core can watch (ten minutes on an idle machine; BENCH=--bmcs=200)"
	@echo "make bench-watch  how soon faulty fans are found, and how often healthy ones suspected (an hour and a half; BENCH=--quick)"
	@echo "make bench-web  what the fleet page and many who watch one evacuation cost one core (two minutes; BENCH=--quick)"
	@echo "make bench-witness  what the witness finds, misses and makes up, with real servers (a quarter of an hour; BENCH=--quick)"
	@echo "make bench-tell  a month's report for 200 customers: page, PDF and data of each (a minute; BENCH='--customers 20')"
	@echo "make lint     ruff and mypy --strict"
	@echo "make clean    remove .venv and caches"

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "noout needs Python 3.11 or later: set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "Python's venv is missing: on Debian, apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: .venv/.made pyproject.toml
	@echo "installing noout into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.installed-dev: .venv/.installed
	@echo "installing the development tools into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: .venv/.installed
	@$(BIN)/noout demo $(DEMO)

demo-real: .venv/.installed
	@$(BIN)/noout demo --real $(DEMO)

test: .venv/.installed-dev
	@$(BIN)/python scripts/test-lanes $(TESTS)

test-fast: .venv/.installed-dev
	@$(BIN)/python scripts/test-lanes --only fast $(TESTS)

test-real: .venv/.installed-dev
	@$(BIN)/python scripts/test-lanes --only slow --only real --only kill $(TESTS)

crash-points: .venv/.installed-dev
	@NOOUT_CRASH_ALONE_EVERY=1 $(BIN)/python -m pytest -q -s tests/crash/test_every_point.py

mutations: .venv/.installed-dev
	@scripts/mutate

simulate: .venv/.installed-dev
	@$(BIN)/python -m tests.simulate $(SIMULATE)

mutants: .venv/.installed-dev
	@scripts/mutants $(MUTANTS)

bench-ceph: .venv/.installed-dev
	@$(BIN)/python -m benchmarks.ceph_noout $(BENCH)

bench-engine: .venv/.installed-dev
	@$(BIN)/python -m benchmarks.engine $(BENCH)

bench-plan: .venv/.installed-dev
	@$(BIN)/python -m benchmarks.plan $(BENCH)

bench-poller: .venv/.installed-dev
	@$(BIN)/python -m benchmarks.watch.poller $(BENCH)

bench-watch: .venv/.installed-dev
	@$(BIN)/python -c 'import numpy' 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@$(BIN)/python -m benchmarks.watch $(BENCH)

bench-web: .venv/.installed-dev
	@$(BIN)/python -m benchmarks.web $(BENCH)

bench-tell: .venv/.installed-dev
	@$(BIN)/python -m benchmarks.tell $(BENCH)

bench-witness: .venv/.installed-dev
	@$(BIN)/python -m benchmarks.witness $(BENCH)

lint: .venv/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: .venv/.installed-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build
