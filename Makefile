# Everything a person does with this project; `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN := .venv/bin
# what an install starts has jobs of its own
unexport MAKEFLAGS
# what a person has for another Python, its libraries among ours
unexport PYTHONPATH PYTHONHOME
IMAGES ?=
# as it was typed, whatever is in the name: a dollar, a quote, a space
OWN = $(if $(value IMAGES),--images '$(subst ','\'',$(value IMAGES))')
S3 ?=
PORT ?=
ONLY ?=
COUNT ?=
SOURCES := workers console sandbox bench tests

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/sandbox ## the pair at work on the embedded AWS; IMAGES=folder for your own photos
	@$(BIN)/python -m sandbox.demo $(OWN)

.PHONY: sandbox
sandbox: .venv/sandbox ## an embedded AWS that stays up, for any AWS client
	@$(BIN)/python -m sandbox $(OWN)

.PHONY: lesson
lesson: .venv/sandbox ## what a plain pair loses and this one does not: -1 overtakes an image, B is killed
	@$(BIN)/python -m bench.lesson

.PHONY: rekognition
rekognition: .venv/sandbox ## a Rekognition that looks, before any S3: S3=http://127.0.0.1:4566 PORT=4567
	@$(BIN)/python -m sandbox.aws.rekognition $(if $(S3),--s3 "$(S3)") $(if $(PORT),--port "$(PORT)")

.PHONY: test
test: lint ## lint, then every test that this machine can run
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

.PHONY: test-slow
test-slow: .venv/dev ## the tests that take long: hosts that are replaced, permissions one by one (an hour)
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "slow or prerequisite"

.PHONY: faults
faults: .venv/dev ## 1,000 generated schedules of faults, kills and power cuts, and two storms (two hours)
	@$(BIN)/python -m tests.faults

.PHONY: crashes
crashes: .venv/dev ## the pair from every state that a crash can leave (ten minutes)
	@$(BIN)/python -m tests.crashes

.PHONY: orders
orders: .venv/dev ## what threads share, in a hundred thousand orders of their steps (ten minutes)
	@$(BIN)/python -m tests.orders

.PHONY: lint
lint: .venv/dev ## style, types, Terraform and Ansible checks
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	cd ansible && PATH="$(CURDIR)/$(BIN):$$PATH" ANSIBLE_INVENTORY=/dev/null ansible-lint --offline --strict --profile=production
	$(BIN)/python -m sandbox.terraform --check

.PHONY: format
format: .venv/dev ## puts the code into the project's style
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: docs
docs: .venv/dev ## makes the pages of settings and errors anew
	$(BIN)/python -m tests.docs.settings_table
	$(BIN)/python -m tests.docs.errors_table

.PHONY: controller
controller: NEEDS := terraform ssh
controller: .venv/controller ## ansible-playbook and cartext, into .venv/bin, for a run in AWS

.PHONY: sandbox-apply
sandbox-apply: NEEDS := terraform ssh-keygen
sandbox-apply: .venv/sandbox ## Terraform's stack in an embedded AWS that stays up
	@$(BIN)/python -m sandbox.terraform

.PHONY: hosts hosts-up hosts-down
hosts hosts-up hosts-down: NEEDS := root terraform ssh ssh-keygen debootstrap systemd-nspawn ip
# what root has made in the checkout, guests and their image aside, is its owner's, who goes on without root
GIVE_BACK := trap 'find . -path ./.cache/hosts -prune -o -path ./.cache/images -prune -o \
	-user root -exec chown --no-dereference --reference . {} +' EXIT
hosts: .venv/dev ## the whole mission on booted hosts (root; debootstrap, systemd-container)
	@$(GIVE_BACK); $(BIN)/python -m sandbox.hosts mission $(OWN)
hosts-up: .venv/dev ## the same, left standing
	@$(GIVE_BACK); $(BIN)/python -m sandbox.hosts up $(OWN)
hosts-down: .venv/dev ## takes it down
	@$(BIN)/python -m sandbox.hosts down

.PHONY: bench
bench: .venv/dev ## speed and cost, measured side by side with the sequential way; ONLY="quotas parts"
	@$(BIN)/python -m bench$(if $(ONLY), --only $(ONLY))

.PHONY: soak
soak: .venv/dev ## a million images through a pair, with a kill a minute (an hour); COUNT=20000 for fewer
	@$(BIN)/python -m bench --only soak$(if $(COUNT), --images $(COUNT))

.PHONY: mutants
mutants: .venv/mutation ## breaks the rules of the run, one by one: some test must fail; ONLY="workers.ending*"
	@$(BIN)/mutmut run $(foreach name,$(ONLY),"$(name)")
	@$(BIN)/mutmut results

.PHONY: lock
lock: ## makes the lock files anew from pyproject.toml (needs uv)
	requirements/lock

.PHONY: release
release: test ## builds the wheel of this commit, twice the same, and checks it; publishing is yours
	@$(BIN)/python requirements/release.py

.PHONY: clean
clean: ## removes what the targets above have made
	rm -rf .venv .venv-policy .venv-ministack .cache build dist mutants

# Before anything is made, all that is missing is named.
.PHONY: machine
machine:
	@./requirements/needs $(NEEDS)

# Asked each time, and made by one at a time: what another has just installed is there.
INSTALLED := .venv/sandbox .venv/controller .venv/dev .venv/mutation
.PHONY: $(INSTALLED)
$(INSTALLED): INSTALL = $(MAKE) --silent --file requirements/install.mk
$(INSTALLED): machine
	@$(INSTALL) --question $@ || "$$(requirements/python)" requirements/quietly.py alone $(INSTALL) $@ || { \
		echo "not installed: look at the network, at pip's settings and at the disk" \
			"($$(df -h . | awk 'NR == 2 {print $$4}') free), then type it again"; exit 1; } >&2
