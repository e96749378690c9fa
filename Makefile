# Everything a person does with this project; `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
LOCKED := $(PIP) --require-hashes --requirement
IMAGES ?=
SOURCES := workers console sandbox bench tests

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/sandbox ## the pair at work on the embedded AWS; IMAGES=folder for your own photos
	@$(BIN)/python -m sandbox.demo $(if $(IMAGES),--images "$(IMAGES)")

.PHONY: sandbox
sandbox: $(VENV)/sandbox ## an embedded AWS that stays up, for any AWS client
	@$(BIN)/python -m sandbox $(if $(IMAGES),--images "$(IMAGES)")

.PHONY: test
test: lint ## lint, then every test that this machine can run
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

.PHONY: faults
faults: $(VENV)/dev ## 2,000 generated schedules of faults and kills, and two storms (an hour)
	@$(BIN)/python -m tests.faults

.PHONY: lint
lint: $(VENV)/dev ## style, types, Terraform and Ansible checks
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	cd ansible && PATH="$(CURDIR)/$(BIN):$$PATH" ANSIBLE_INVENTORY=/dev/null ansible-lint --offline --strict --profile=production
	@if command -v terraform >/dev/null; then \
		echo "terraform fmt, validate"; \
		env -u TF_CLI_CONFIG_FILE terraform fmt -check -recursive terraform && \
		$(BIN)/python -m sandbox.terraform --validate; \
	else echo "terraform is not installed: its code is not checked"; fi

.PHONY: format
format: $(VENV)/dev ## puts the code into the project's style
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: docs
docs: $(VENV)/dev ## makes the pages of settings and errors anew
	$(BIN)/python -m tests.docs.settings_table
	$(BIN)/python -m tests.docs.errors_table

.PHONY: sandbox-apply
sandbox-apply: $(VENV)/sandbox ## Terraform's stack in an embedded AWS that stays up
	@$(BIN)/python -m sandbox.terraform

.PHONY: hosts hosts-up hosts-down
hosts: $(VENV)/dev ## the whole mission on booted hosts (root; debootstrap, systemd-container)
	@$(BIN)/python -m sandbox.hosts mission $(if $(IMAGES),--images "$(IMAGES)")
hosts-up: $(VENV)/dev ## the same, left standing
	@$(BIN)/python -m sandbox.hosts up $(if $(IMAGES),--images "$(IMAGES)")
hosts-down: $(VENV)/dev ## takes it down
	@$(BIN)/python -m sandbox.hosts down

.PHONY: bench
bench: $(VENV)/dev ## speed and cost, measured side by side with the sequential way
	@$(BIN)/python -m bench

.PHONY: lock
lock: ## makes requirements/*.txt anew from pyproject.toml (needs uv)
	requirements/lock

.PHONY: clean
clean: ## removes what the targets above have made
	rm -rf $(VENV) .venv-policy .venv-ministack .cache build

# A folder's marker is as new as the lock file that filled it.
$(VENV)/made:
	@./requirements/make-venv $(VENV)

$(VENV)/sandbox: $(VENV)/made requirements/sandbox.txt
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js (Debian: apt-get install npm)"; exit 1; }
	@echo "installing the sandbox's packages into $(VENV) (once, about half a minute)"
	@$(LOCKED) requirements/sandbox.txt
	@$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/sandbox requirements/dev.txt requirements/policy.txt requirements/ministack.txt
	@echo "installing the packages of tests and lint into $(VENV) (once, about a minute)"
	@$(LOCKED) requirements/dev.txt
	@for apart in policy ministack; do \
		./requirements/make-venv .venv-$$apart && \
		.venv-$$apart/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
			--require-hashes --requirement requirements/$$apart.txt || exit 1; \
	done
	@touch $@
