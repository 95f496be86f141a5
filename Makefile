# make lab | make test | make restore LESSON=01      (instructors: make slides, make site)
# Authors: make run, make e2e (a real browser), make colab (old versions), make gpu, make test-all
# PYTHON=python3.12 chooses another Python, ARGS="..." is passed on, as in: make lab ARGS=--no-browser
PYTHON ?= python3
PY = .venv/bin/python
ARGS =
# Two processes, each with whole files: what is slow waits, what is fast does not.
TOGETHER = -n 2 --dist loadfile

.PHONY: lab restore slides site test filled colab e2e gpu test-all run

lab: .venv/installed
	@$(PY) -m inception_edu lab $(ARGS)

restore: .venv/installed
	@$(PY) -m inception_edu restore $(LESSON)

test: .venv/installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pytest -q $(TOGETHER) --nbval tests notebooks

# Lectures and hand-outs, into build/: ARGS="notebooks/NN_name.ipynb" for one lesson.
slides site: .venv/installed
	$(PY) -m authoring $@ $(ARGS)

# The notebooks once more, every exercise answered by its folded solution: one after the other, for
# the student's file beside them grows from lesson to lesson.
filled: .venv/installed
	@rm -rf build/filled
	$(PY) -m authoring fill --out build/filled
	$(PY) -m pytest -q --nbval build/filled

# The notebooks as in Colab: the oldest versions, in an environment of their own.
colab: .venv/installed
	$(PY) -m pytest -q tests/colab

# JupyterLab, a slide deck and a page of the site in Chromium.
e2e: .venv/installed
	$(PY) -m pytest -q $(TOGETHER) tests/e2e

# Tests and speed on one card, in at most nine minutes; lesson 05 shows what it saves.
gpu: .venv/installed
	@$(PY) -m authoring gpu $(ARGS)

test-all: test filled colab
	$(MAKE) slides site e2e ARGS=

run: .venv/installed
	@$(PY) -m authoring run $(ARGS)

# The stamp is newer than the two lists of dependencies once they are installed: then make skips this.
.venv/installed: requirements.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo 'Python 3.10 or newer is needed: install it from python.org, or name one with PYTHON=...' >&2; \
	  exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'This Python cannot make virtual environments: install its venv package (apt install python3-venv).' >&2; \
	  exit 1; }
	@echo 'Installing into .venv (once, some minutes and gigabytes):'
	@rm -f $@
	@"$(PYTHON)" -m venv .venv
	@{ $(PY) -m pip install --progress-bar off --disable-pip-version-check \
	  -r requirements.txt -e '.[dev]' && touch $@; } | while read -r line; do case "$$line" in \
	  Collecting*) printf .;; Installing\ coll*) printf ' unpacking';; esac; done; echo
	@test -e $@ || { echo 'Installing failed (see above); with a network, make tries again.' >&2; exit 1; }
