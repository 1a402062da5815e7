# VENV names the environment, PYTHON what makes it.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ECOSYSTEM := $(VENV)/.ecosystem

.PHONY: install quickstart screenshot findings test test-all test-ecosystem test-oldest lint format
install: $(INSTALLED)

# pip prints a line per package; --no-compile leaves it to Python to compile the files that are imported, which are few;
# --use-pep517 avoids a warning of older versions of pip about one of the packages.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --no-compile --use-pep517 -c constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@echo "Installing into $(VENV): about 6 GB, in a few minutes; pip is silent for the last of them."
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e ".[experiment,dev]"
	@touch $@

# Other people's tools, which tests/ecosystem tries.
$(ECOSYSTEM): $(INSTALLED)
	$(PIP) -e ".[ecosystem]"
	@touch $@

# The main jobs on synthetic images: standard against weighted, and an image denoised; see README.md.
quickstart: install
	$(BIN)/python train.py -m experiment=quickstart conv=standard,weighted
	$(BIN)/python train.py experiment=quickstart_denoising conv=weighted
	$(BIN)/python scripts/compare.py runs/quickstart/classification
	$(BIN)/python scripts/report.py runs/quickstart -o runs/quickstart/report.html
	@cp $$(ls -t runs/quickstart/denoising/*/images/dead_leaves-test0000.png | head -1) runs/quickstart/denoised.png
	@echo "Now open runs/quickstart/report.html in a browser; runs/quickstart/denoised.png shows a denoised image."

STUDY := results/study/runs

# The picture of a page in README.md, of committed runs; CHROMIUM names the browser that takes it.
CHROMIUM ?= chromium --no-sandbox
screenshot: install
	$(BIN)/python scripts/report.py $(STUDY)/classification/vgg-standard-* $(STUDY)/classification/vgg-weighted-* \
		--where trainer.max_epochs=5 --where model.batch_norm=true -o runs/report.html
	$(CHROMIUM) --headless --hide-scrollbars --window-size=1240,1500 --virtual-time-budget=5000 \
		--screenshot=docs/report.png "file://$(CURDIR)/runs/report.html"

# What README.md and docs/ say of the study, from its committed runs; its figures, and the page of all its runs.
findings: install
	$(BIN)/python scripts/compare.py $(STUDY)/classification --where init=kaiming --where conv=standard --where conv=weighted \
		--where optimizer.lr=0.1 --where optimizer.lr=0.001 --where optimizer.weight_decay=0.0005 \
		--where optimizer.weight_decay=0.01 --brief --effects docs/findings_accuracy.png
	$(BIN)/python scripts/compare.py $(STUDY)/denoising --where conv=standard --where conv=weighted \
		--metric test/bsd68/psnr --brief --effects docs/findings_psnr.png
	$(BIN)/python scripts/compare.py $(STUDY)/classification --where trainer.max_epochs=15 --where model.batch_norm=true \
		--where datamodule.train_subset=20000 --where model.kernel_size=3 --where optimizer.weight_decay=0.0005 \
		--where optimizer.lr=0.1 --row weighted --effects docs/findings_classification.png
	$(BIN)/python scripts/compare.py $(STUDY)/classification --where trainer.max_epochs=15 --where model.batch_norm=false \
		--row weighted --effects docs/findings_plain.png
	$(BIN)/python scripts/compare.py $(STUDY)/classification --where datamodule.train_subset=5000 \
		--row "weight_decay 0.0005, kernel_size 7: weighted" --effects docs/findings_kernels.png
	$(BIN)/python scripts/compare.py $(STUDY)/denoising --where trainer.max_epochs=6 --metric test/bsd68/psnr \
		--row "kaiming: weighted" --effects docs/findings_denoising.png
	$(BIN)/python scripts/compare.py $(STUDY)/denoising --where trainer.max_epochs=20 --where trainer.max_epochs=10 \
		--metric test/bsd68/psnr --row "dncnn: weighted" --effects docs/findings_long.png
	$(BIN)/python scripts/report.py $(STUDY) -o results/study/report.html
	$(BIN)/python scripts/fill_page.py README.md docs/findings.md docs/study.md docs/speed.md results/search/README.md \
		results/precision/README.md

# One thread a test: what they compute is small, and two workers then share the cores evenly.
test test-all test-ecosystem: export OMP_NUM_THREADS = 1
test: install
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not faults and not slurm and not browser and not ecosystem"

# with_cluster.sh starts a SLURM of one node, where it is installed. Its tests often wait for jobs, so four run at once.
# Other people's tools come last: torchmetrics imports some of them if they are installed, at each start of train.py.
test-all: install
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slurm and not ecosystem"
	tests/slurm/with_cluster.sh $(BIN)/python -m pytest -n 4 --maxschedchunk 1 tests/slurm
	$(MAKE) test-ecosystem

test-ecosystem: $(ECOSYSTEM)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m ecosystem

# The tests without a mark, with the oldest versions that pyproject.toml allows; PYTHON names the oldest Python, too.
OLDEST := .venv-oldest
test-oldest: export OMP_NUM_THREADS = 1
test-oldest:
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --disable-pip-version-check -q uv
	$(OLDEST)/bin/uv pip install -q --python $(OLDEST)/bin/python --resolution lowest-direct -e ".[experiment,dev]"
	$(OLDEST)/bin/python -m pytest -n 2 --dist worksteal -m "not faults and not slurm and not browser and not ecosystem"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy wconv

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
