# `make demo` and `make test` each do all their own set-up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH := .venv-bench
SIZE ?=
ONLY ?=

.PHONY: install demo test test-browser test-dicom test-slow test-hard mutants fuzz check bench docs docs-pictures release-check sbom clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "hilum needs Python 3.11 or newer, got " + sys.version.split()[0]'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: install
	$(BIN)/hilum demo --out out/demo

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# pytest's own reading of the tests is kept, however Python is set up: 6 s of every worker's time.
test: check
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile

# Debian's Chromium drives the page: no browser of Playwright's own is downloaded.
$(VENV)/.browser: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	command -v chromium || command -v chromium-browser || command -v google-chrome || { \
		test "$$(id -u)" = 0 && command -v apt-get && timeout 120 apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -qq -y --no-install-recommends chromium; \
	} || echo "no Chromium here and no right to install it: the tests of the page will be skipped"
	touch $@

test-browser: $(VENV)/.browser $(VENV)/.docs
	$(BIN)/python -m pytest -m browser tests/serve/browser tests/docs

# The archive of the tests, and the programs that read its objects, are Debian's. RUNLEVEL: none is started as a service.
$(VENV)/.archive: $(STAMP)
	PATH="$$PATH:/usr/sbin"; command -v Orthanc && command -v dcmsend && command -v dciodvfy \
	&& test -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so || { \
		test "$$(id -u)" = 0 && command -v apt-get && timeout 120 apt-get update -qq \
		&& RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -qq -y --no-install-recommends \
			orthanc orthanc-dicomweb dcmtk dicom3tools; \
	} || echo "no archive here and no right to install it: its tests will be skipped"
	touch $@

# An archive with a node next to it: a minute.
test-dicom: $(VENV)/.archive
	$(BIN)/python -m pytest -m dicom tests/dicom/archive

test-slow: install
	$(BIN)/python -m pytest -n auto --dist loadfile -m 'slow and not gpu'

# What docs/reliability.md counts, in full, a line of result for each property. Hours; goes on where it was stopped.
# make test-hard ONLY="E-07 E-11"
test-hard: install
	$(BIN)/python scripts/reliability.py $(ONLY)

$(VENV)/.mutants: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutants]'
	touch $@

# Whether the tests notice changes of metrics, splits, leak search, audits and resuming. Long.
# make mutants ONLY="metrics splits"
mutants: $(VENV)/.mutants
	$(BIN)/python scripts/mutation_tests.py $(ONLY)
	$(BIN)/python scripts/mutation_tests.py --coverage $(ONLY)

$(VENV)/.fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	touch $@

# Bytes that a reader does not answer with HilumError, looked for by coverage. Long.
# make fuzz ONLY="header dicom"
fuzz: $(VENV)/.fuzz
	for target in $(or $(ONLY),$$($(BIN)/python scripts/fuzz.py --list)); do \
		$(BIN)/python scripts/fuzz.py $$target || exit 1; \
	done

# The peers have an environment of their own, on top of hilum's: torch is not downloaded twice.
# A peer that does not install is left out, and its rows say so.
$(BENCH)/.installed: $(STAMP) benchmarks/requirements.txt
	test -x $(BENCH)/bin/python || $(BIN)/python -m venv $(BENCH)
	site='import site; print(site.getsitepackages()[0])'; \
	{ $(BIN)/python -c "$$site"; echo "$(CURDIR)/src"; } > "$$($(BENCH)/bin/python -c "$$site")/hilum.pth"
	while read -r peer; do \
		$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "$$peer" \
		|| echo "$$peer does not install here: its rows will say so"; \
	done < benchmarks/requirements.txt
	touch $@

# make bench SIZE=--quick, or SIZE=--full, or SIZE="--data FOLDER"
bench: $(BENCH)/.installed
	$(BENCH)/bin/python benchmarks/run.py $(SIZE)

# The site in build/site: every warning is an error. Once installed, it needs no network.
$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

docs: $(VENV)/.docs
	mkdir -p build/pages
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html -c docs/site \
		-d build/doctrees build/pages build/site
	@echo build/site/index.html

# The pictures of the explanation pages, and that of the report, from runs on synthetic films: minutes.
# One alone: make docs-pictures ONLY=report
docs-pictures: $(VENV)/.browser
	$(BIN)/python docs/site/draw_pictures.py $(ONLY)

# Wheel and sdist, built and used where nothing else is installed: docs/release.md. Needs about 6 GB in TMPDIR.
release-check: install
	$(BIN)/python scripts/release_check.py

# Every component of an installation without extras, as CycloneDX, in build/hilum.cdx.json.
sbom: install
	$(BIN)/python scripts/release_check.py --only sbom

clean:
	rm -rf $(VENV) $(BENCH) out build dist
