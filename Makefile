# make course: set up and open the course.   make test: set up and check everything.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: course test setup notebooks pytest browser step dev outputs bench weights pictures wheel

course: setup
	$(BIN)/camtutor lab

test: setup step notebooks pytest browser
	@echo "All checks passed."

setup: $(READY)

$(READY): settings.ini setup.py pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "camtutor needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	$(BIN)/python -m ipykernel install --sys-prefix --name python3 --display-name "Python 3 (camtutor)"
	touch $@

step: setup       # notebooks clean, package and README in step with them; widths, branches, imports
	$(BIN)/python tools/in_step.py

notebooks: setup  # every notebook runs
	OMP_NUM_THREADS=1 $(BIN)/nbdev-test --n-workers 2 --timing

pytest: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not browser" -n 2 --dist worksteal

browser: setup    # Chromium against a real JupyterLab
	$(BIN)/python -m pytest -m browser

dev: setup        # for authors: nbdev's git hooks, so that notebooks are cleaned and merge well
	$(BIN)/nbdev-install-hooks

outputs: setup    # run notebooks and save their outputs: make outputs NB=nbs/02_cam.ipynb
	$(BIN)/python tools/nb.py run $(or $(NB),nbs/[0-9]*.ipynb nbs/index.ipynb nbs/tools/*.ipynb)

bench: setup      # timings beside other libraries, as ratios; how fast scenes are drawn
	$(BIN)/python -m benchmarks.gradcam
	$(BIN)/python -m benchmarks.pixels
	$(BIN)/python -m benchmarks.family
	$(BIN)/python -m benchmarks.perturbation
	$(BIN)/python -m benchmarks.metrics
	$(BIN)/python -m benchmarks.scenes

weights: setup    # draw the shipped scenes and train the shipped networks again, from seeds
	$(BIN)/python tools/make_gallery.py
	$(BIN)/python tools/make_plain.py
	$(BIN)/python tools/make_reviews.py
	$(BIN)/python tools/make_weights.py
	$(BIN)/python tools/make_liars.py
	$(BIN)/python tools/make_stories.py
	$(BIN)/python tools/make_lcam.py

pictures: setup   # draw the README's pictures again; needs Chromium
	$(BIN)/python tools/make_sheet.py
	$(BIN)/python tools/make_explain_picture.py
	$(BIN)/python tools/explorer_strip.py

wheel: setup      # a source distribution, and the wheel that it makes
	$(BIN)/python -m build
