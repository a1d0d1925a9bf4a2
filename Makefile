# make demo    a small simulated cohort through the whole workflow
# make test    all tests (on the release build; those of hostile input also on the bounds-checked build)
# make branches  all tests, with branch coverage of the Python code: a table, and build/branches/index.html
# make catalog  the shipped workflow on .test/config, with Snakemake's report, as a workflow catalog would run it
# make lint    ruff, mypy, snakefmt, snakemake --lint
# make audit   known weaknesses of dependencies, patterns of weak code, and build/sbom.json, a list of what is installed
# make fuzz    a million mutations of all kinds of input, on the bounds-checked build
# make fuzz-long  as many on a build with sanitizers, where inputs that reach new code are mutated further
# make fuzz-guided  inputs that libFuzzer chooses, some thousands a second, for parsers and kernels
# make faults  lets every system call of every command fail once, and cuts the power at any moment
# make soak    an hour of serve and mount under load; checks that nothing grows and every answer is right
# make corpora DIR=…  checks for the alignment files of a folder that what samtools reads is restored exactly
# make bench   the table and the plot of benchmarks/README.md
# make bench-scale  how cost grows with reads, depth and read length
# make igv     igv.js for the page of bams3 serve, from npm
# make docs    the documentation as a web site, in build/site
# make dist    sdist and wheel, installed and tried in an empty environment
#
# Each target does all the set-up that it needs: a virtual environment in .venv with the package built into it.

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
KERNELS = $(shell find bams3 -name '*.pyx' -o -name '*.pxd')
SOURCES = $(shell find bams3 -name '*.py')
CORES  ?= $(shell nproc)

# uv installs in a tenth of pip's time. It does not read pip's settings, so if it fails, as without a mirror that only
# pip's settings name, pip is tried. Modules are compiled to byte code when they are imported: most never are.
FLAGS   = install --quiet --no-compile
install = $(BIN)/uv pip $(FLAGS) --python $(BIN)/python $(1) || $(BIN)/python -m pip $(FLAGS) $(1)
require = $(BIN)/python .ci/requirements $(1) > $(VENV)/$(1) && { $(call install,--requirement $(VENV)/$(1)); }

UV        = $(VENV)/.uv
REQUIRED  = $(VENV)/.required
COMPILED  = $(VENV)/.compiled
INSTALLED = $(VENV)/.installed
TESTED    = $(VENV)/.tested
LINTERS   = $(VENV)/.linters
COVERERS  = $(VENV)/.coverers
FUZZERS   = $(VENV)/.fuzzers
AUDITORS  = $(VENV)/.auditors
PLOTTERS  = $(VENV)/.plotters
CHECKED   = build/checked/.built
SANITIZED = build/sanitized/.built
COUNTED   = build/counted/.built
DEMO      = demo
PAGE      = bams3/bams3/bridge/page
IGV       = $(PAGE)/igv/igv.esm.min.js
COHORT    = $(DEMO)/data/samples.tsv

MAKEFLAGS += --jobs=$(CORES)

# Tests start thousands of processes: if byte code were not kept, each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test branches catalog fuzz fuzz-long fuzz-guided faults soak corpora lint audit bench bench-scale igv docs dist setup clean

setup: $(INSTALLED)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "bams3 needs Python 3.11 or later; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip $(FLAGS) uv
	$(call require,build)
	@touch $@

# While the kernels are compiled, the package's requirements are installed, and the demo's reads are simulated.
# pip compiles the kernels, with the packages in the environment: uv would lock the environment during that time.
$(REQUIRED): pyproject.toml | $(UV)
	$(call require,workflow)
	@touch $@

$(COMPILED): pyproject.toml setup.py $(KERNELS) | $(UV)
	$(BIN)/python -m pip $(FLAGS) --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

$(INSTALLED): $(REQUIRED) $(COMPILED)
	@touch $@

$(TESTED): $(INSTALLED)
	$(call require,test)
	@touch $@

$(PLOTTERS): $(TESTED)
	$(call require,bench)
	@touch $@

$(COVERERS): $(TESTED)
	$(call require,branches)
	@touch $@

$(FUZZERS): $(TESTED)
	$(call require,fuzz)
	@touch $@

# mypy reads the types of installed packages, so the same ones are installed as for tests.
$(LINTERS): $(TESTED)
	$(call require,lint)
	@touch $@

$(AUDITORS): $(INSTALLED)
	$(call require,audit)
	@touch $@

# The same kernels with every index checked, for tests with malformed input. They are compiled while the requirements of
# tests are fetched.
$(CHECKED): $(INSTALLED) $(SOURCES)
	BAMS3_BOUNDS_CHECKS=1 $(BIN)/python setup.py --quiet build --build-lib build/checked --build-temp build/checked-objects
	@touch $@

# The same kernels with gcc's sanitizers, and without checked indexes.
$(SANITIZED): $(TESTED) $(SOURCES) tests/fuzz/blocks.c
	BAMS3_SANITIZE=1 $(BIN)/python setup.py --quiet build --build-lib build/sanitized --build-temp build/sanitized-objects
	$(CC) -shared -fPIC -O2 -o build/sanitized/blocks.so tests/fuzz/blocks.c
	@touch $@

# The same kernels with checked indexes and counted blocks, for millions of inputs.
$(COUNTED): $(TESTED) $(SOURCES) tests/fuzz/blocks.c
	BAMS3_COUNTED=1 $(BIN)/python setup.py --quiet build --build-lib build/counted --build-temp build/counted-objects
	$(CC) -shared -fPIC -O2 -o build/counted/blocks.so tests/fuzz/blocks.c
	@touch $@

# The PATH with the commands of the environment, for subprocesses.
RUN = PATH="$(CURDIR)/$(BIN):$$PATH"

$(COHORT): $(REQUIRED)
	mkdir -p $(DEMO)
	cd $(DEMO) && $(RUN) python $(CURDIR)/benchmarks/simulate.py cohort data

demo: $(INSTALLED) $(COHORT)
	cd $(DEMO) && $(RUN) snakemake --snakefile $(CURDIR)/workflow/Snakefile --profile $(CURDIR)/profiles/local \
	    --configfile $(CURDIR)/examples/cohort/config.yaml --quiet rules host
	@echo
	@echo "Results are in $(DEMO)/results:"
	@cd $(DEMO)/results && ls -d datasets/* query/*.bam coverage/*.txt coverage/*.gz process/* cohort/*.*

# Tests of clusters wait much, others a little, so two more run at a time than there are cores. tests/conftest.py says
# with which tests each worker begins.
test: $(TESTED) $(CHECKED) $(IGV)
	$(RUN) python -m pytest -n $$(($(CORES) + 2)) --dist worksteal $(TESTS)

branches: $(COVERERS) $(CHECKED) $(IGV)
	$(RUN) python -m pytest -n $$(($(CORES) + 2)) --dist worksteal --cov --cov-report=html:build/branches \
	    --cov-report=term:skip-covered $(TESTS)

catalog: $(INSTALLED)
	rm -rf .test/results
	$(RUN) snakemake --directory .test --profile profiles/local --quiet rules host
	$(RUN) snakemake --directory .test --profile profiles/local --quiet all --report results/report.html

fuzz: $(TESTED) $(CHECKED)
	cd tests && PYTHONPATH=$(CURDIR)/build/checked:$(CURDIR)/tests/support $(CURDIR)/$(BIN)/python -m fuzz $(FUZZ)

# The process ends when a sanitizer reports something; the report is in build/fuzz/report.PID.
LIBRARIES = $(shell $(CC) -print-file-name=libasan.so) $(shell $(CC) -print-file-name=libubsan.so)
REPORTS   = log_path=$(CURDIR)/build/fuzz/report
WATCHED   = PYTHONPATH=$(CURDIR)/build/sanitized:$(CURDIR)/tests/support PYTHONMALLOC=malloc \
    LD_PRELOAD="$(LIBRARIES) $(CURDIR)/build/sanitized/blocks.so" UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:$(REPORTS) \
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096:allow_user_segv_handler=0:quarantine_size_mb=16:malloc_context_size=4:$(REPORTS)
fuzz-long: $(SANITIZED)
	mkdir -p build/fuzz
	cd tests && $(WATCHED) $(CURDIR)/$(BIN)/python -m fuzz $(FUZZ)

fuzz-guided: $(COUNTED) $(SANITIZED) $(FUZZERS)
	mkdir -p build/fuzz
	cd tests && PYTHONPATH=$(CURDIR)/build/counted:$(CURDIR)/tests/support LD_PRELOAD=$(CURDIR)/build/counted/blocks.so \
	    $(CURDIR)/$(BIN)/python -m fuzz.guided $(GUIDED)
	cd tests && $(WATCHED) $(CURDIR)/$(BIN)/python -m fuzz.guided --kept

faults: $(TESTED)
	cd tests && PYTHONPATH=$(CURDIR)/tests/support $(CURDIR)/$(BIN)/python -m faults $(FAULTS)

soak: $(TESTED)
	cd tests && $(RUN) PYTHONPATH=$(CURDIR)/tests/support python -m soak $(SOAK)

corpora: $(TESTED)
	cd tests && $(CURDIR)/$(BIN)/python -m corpora $(abspath $(DIR))

lint: $(LINTERS) $(COHORT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check workflow examples/lab examples/from_fastq
	cd $(DEMO) && $(RUN) snakemake --snakefile $(CURDIR)/workflow/Snakefile \
	    --configfile $(CURDIR)/examples/cohort/config.yaml --lint

audit: $(AUDITORS)
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive bams3/bams3 workflow .ci
	mkdir -p build
	$(BIN)/cyclonedx-py environment $(BIN)/python --output-file build/sbom.json
	$(BIN)/pip-audit --local --skip-editable

bench: $(PLOTTERS)
	$(BIN)/python benchmarks/run.py

bench-scale: $(PLOTTERS)
	$(BIN)/python benchmarks/run.py --scale

igv: $(IGV)

$(IGV): $(PAGE)/package.json $(PAGE)/package-lock.json
	@if command -v npm > /dev/null; then set -e; \
	    mkdir -p build/page $(@D); \
	    cp $^ build/page; \
	    (cd build/page && npm ci --ignore-scripts --silent); \
	    cp build/page/node_modules/igv/dist/$(@F) build/page/node_modules/igv/LICENSE $(@D); \
	else echo "npm is not installed, so the page of bams3 serve will not have igv.js"; fi

docs: $(INSTALLED)
	$(call require,docs)
	$(BIN)/mkdocs build --quiet

dist: $(INSTALLED) $(IGV)
	rm -rf dist build/dist-venv
	$(call install,build)
	$(BIN)/python -m build --outdir dist . > build/dist.log
	$(PYTHON) -m venv build/dist-venv
	build/dist-venv/bin/pip install --quiet dist/*.whl
	cd build && dist-venv/bin/bams3 --version && dist-venv/bin/python -c 'import bams3; bams3.open, bams3.convert'

clean:
	rm -rf $(VENV) build dist $(DEMO) bams3/*.egg-info
	find bams3 -name '*.so' -delete
