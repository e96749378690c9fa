# Everything a person does with this project; `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python requirements/quietly.py pip install --quiet --disable-pip-version-check --no-deps
LOCKED := $(PIP) --require-hashes --requirement
IMAGES ?=
# as it was typed, whatever is in the name: a dollar, a quote, a space
OWN = $(if $(value IMAGES),--images '$(subst ','\'',$(value IMAGES))')
ONLY ?=
SOURCES := workers console sandbox bench tests

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: machine $(VENV)/sandbox ## the pair at work on the embedded AWS; IMAGES=folder for your own photos
	@$(BIN)/python -m sandbox.demo $(OWN)

.PHONY: sandbox
sandbox: machine $(VENV)/sandbox ## an embedded AWS that stays up, for any AWS client
	@$(BIN)/python -m sandbox $(OWN)

.PHONY: test
test: lint ## lint, then every test that this machine can run
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

.PHONY: test-slow
test-slow: machine $(VENV)/dev ## the tests that take long: hosts that are replaced, permissions one by one (an hour)
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m slow

.PHONY: faults
faults: machine $(VENV)/dev ## 2,000 generated schedules of faults and kills, and two storms (an hour)
	@$(BIN)/python -m tests.faults

.PHONY: lint
lint: machine $(VENV)/dev ## style, types, Terraform and Ansible checks
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
format: machine $(VENV)/dev ## puts the code into the project's style
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: docs
docs: machine $(VENV)/dev ## makes the pages of settings and errors anew
	$(BIN)/python -m tests.docs.settings_table
	$(BIN)/python -m tests.docs.errors_table

.PHONY: controller
controller: NEEDS := terraform ssh
controller: machine $(VENV)/controller ## ansible-playbook and cartext, into .venv/bin, for a run in AWS

.PHONY: sandbox-apply
sandbox-apply: NEEDS := terraform ssh-keygen
sandbox-apply: machine $(VENV)/sandbox ## Terraform's stack in an embedded AWS that stays up
	@$(BIN)/python -m sandbox.terraform

.PHONY: hosts hosts-up hosts-down
hosts hosts-up hosts-down: NEEDS := root terraform ssh-keygen debootstrap systemd-nspawn
hosts: machine $(VENV)/dev ## the whole mission on booted hosts (root; debootstrap, systemd-container)
	@$(BIN)/python -m sandbox.hosts mission $(OWN)
hosts-up: machine $(VENV)/dev ## the same, left standing
	@$(BIN)/python -m sandbox.hosts up $(OWN)
hosts-down: machine $(VENV)/dev ## takes it down
	@$(BIN)/python -m sandbox.hosts down

.PHONY: bench
bench: machine $(VENV)/dev ## speed and cost, measured side by side with the sequential way
	@$(BIN)/python -m bench

.PHONY: mutants
mutants: machine $(VENV)/mutation ## breaks the rules of the run, one by one: some test must fail; ONLY="workers.ending*"
	@$(BIN)/mutmut run $(foreach name,$(ONLY),"$(name)")
	@$(BIN)/mutmut results

.PHONY: lock
lock: ## makes requirements/*.txt anew from pyproject.toml (needs uv)
	requirements/lock

.PHONY: clean
clean: ## removes what the targets above have made
	rm -rf $(VENV) .venv-policy .venv-ministack .cache build mutants

# Before anything is made, all that is missing is named.
.PHONY: machine
machine:
	@./requirements/needs $(NEEDS)

# A folder's marker is as new as the lock file that filled it.
$(VENV)/made:
	@./requirements/make-venv $(VENV)

$(VENV)/sandbox: $(VENV)/made requirements/sandbox.txt
	@echo "installing the sandbox's packages into $(VENV) (once: 0.7 GB, about a minute)"
	@$(LOCKED) requirements/sandbox.txt
	@$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/controller: $(VENV)/made requirements/controller.txt
	@echo "installing Ansible and the command cartext into $(VENV) (once: 0.6 GB, about a minute)"
	@$(LOCKED) requirements/controller.txt
	@$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/sandbox requirements/dev.txt requirements/policy.txt requirements/ministack.txt
	@echo "installing the packages of tests and lint into $(VENV) (once: 1.2 GB, about two minutes)"
	@$(LOCKED) requirements/dev.txt
	@for apart in policy ministack; do \
		./requirements/make-venv .venv-$$apart && \
		.venv-$$apart/bin/python requirements/quietly.py pip install --quiet --disable-pip-version-check \
			--no-deps --require-hashes --requirement requirements/$$apart.txt || exit 1; \
	done
	@touch $@

$(VENV)/mutation: $(VENV)/dev requirements/mutation.txt
	@$(LOCKED) requirements/mutation.txt
	@touch $@
