# Each target sets up what it needs; the second time that takes no time.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
RESULTS ?= results
MODELS := miniature_plain miniature_stylised miniature_shape_randomised \
	miniature_gaussian_noise miniature_blur miniature_adversarial
MINIATURE := $(RESULTS)/miniature

.PHONY: demo test lint format clean

demo: $(VENV)/installed
	$(RUN) code/miniature/draw.py --out $(MINIATURE) --sets imagenet model-vs-human/cue-conflict
	$(RUN) code/eval_imagenet.py --model $(MODELS) --imagenet $(MINIATURE)/imagenet --results $(RESULTS)
	$(RUN) code/eval_shape_bias.py --model $(MODELS) --stimuli $(MINIATURE)/model-vs-human/cue-conflict --results $(RESULTS)
	$(RUN) code/eval_spectral.py --model $(MODELS) --imagenet $(MINIATURE)/imagenet --results $(RESULTS)
	$(RUN) code/eval_criticalband.py --model $(MODELS) --imagenet $(MINIATURE)/imagenet --results $(RESULTS)
	$(RUN) code/eval_imagenet_c.py --model $(MODELS) --generate --imagenet $(MINIATURE)/imagenet \
		--severities 1 3 5 --limit 48 --results $(RESULTS)
	$(RUN) code/eval_imagenet_adv.py --model $(MODELS) --imagenet $(MINIATURE)/imagenet \
		--eps 1/255 2/255 4/255 8/255 --steps 10 --limit 32 --results $(RESULTS)
	$(RUN) code/collect.py --results $(RESULTS) --models $(MODELS) --out $(RESULTS)/raw-data
	$(RUN) code/report.py --table $(RESULTS)/raw-data/benchmark.csv --results $(RESULTS) \
		--out $(RESULTS)/report.html
	@echo "The figures are $(RESULTS)/imagenet_shape_bias/shape_bias.png, imagenet_spectral/spectral.png,"
	@echo "imagenet_criticalband/critical_band.png, imagenet_c_generated/severities.png (each of these three"
	@echo "with its stimuli beside it, example_stimuli.png) and imagenet_adv_pgd/robustness.png"
	@echo "Everything on one page, to open in a browser: $(abspath $(RESULTS))/report.html"

test: $(VENV)/installed-dev
	$(RUN) -m pytest

lint: $(VENV)/installed-dev
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

format: $(VENV)/installed-dev
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

clean:
	rm -rf $(VENV)

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; choose one with make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt | $(RUN)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
