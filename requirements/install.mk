# Fills the virtual environments. A folder's marker is as new as the lock file that filled it.

.DELETE_ON_ERROR:

QUIETLY := bin/python requirements/quietly.py pip install --quiet --disable-pip-version-check --no-user --no-deps
PIP := .venv/$(QUIETLY)
LOCKED := --require-hashes --requirement

.venv/made:
	./requirements/make-venv .venv

.venv/sandbox: .venv/made sandbox/libraries.txt
	echo "installing the sandbox's libraries into .venv (once: 0.7 GB, about a minute)"
	$(PIP) $(LOCKED) sandbox/libraries.txt
	$(PIP) --no-build-isolation --editable .
	touch $@

.venv/controller: .venv/made requirements/controller.txt
	echo "installing Ansible and the command cartext into .venv (once: 0.6 GB, about a minute)"
	$(PIP) $(LOCKED) requirements/controller.txt
	$(PIP) --no-build-isolation --editable .
	touch $@

.venv/dev: .venv/sandbox requirements/dev.txt requirements/policy.txt requirements/ministack.txt
	echo "installing the packages of tests and lint into .venv (once: 1.2 GB, about two minutes)"
	$(PIP) $(LOCKED) requirements/dev.txt
	for apart in policy ministack; do \
		./requirements/make-venv .venv-$$apart && \
		.venv-$$apart/$(QUIETLY) $(LOCKED) requirements/$$apart.txt || exit 1; \
	done
	touch $@

.venv/mutation: .venv/dev requirements/mutation.txt
	$(PIP) $(LOCKED) requirements/mutation.txt
	touch $@
