# Each target installs what it needs; later runs skip this step.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
RESULTS ?= results
MINIATURE := $(RESULTS)/miniature
STUDY := $(RUN) code/run_study.py --model 'miniature_*' --data $(MINIATURE) --workers 2 --together 20
# Whose decisions the demo scores as those of any observers, from their tables alone.
OBSERVERS := $(addprefix $(RESULTS)/imagenet_model_vs_human/miniature_, \
	stylised shape_randomised)

.PHONY: demo demo-full miniature test test-ray bench lint format clean

# Longest benchmarks first, so that both workers finish at about the same time.
demo: miniature
	$(STUDY) --results $(RESULTS) --benchmark \
		"model_vs_human --limit 160" "adv --limit 16" "imagenet_c --limit 16" \
		"criticalband --limit 32" "spectral --limit 32" "imagenet_cbar --limit 16" \
		"suppression --limit 32" "shape_bias_lowpass --limit 80" \
		"adv --attack fgsm --eps 2/255 4/255 8/255 --limit 32" "imagenet_p --limit 8" \
		"imagenet_c_generated --severities 3 --limit 16" imagenet_ood imagenet imagenet_real
	$(RUN) code/score_decisions.py $(OBSERVERS) --stimuli $(MINIATURE)/model-vs-human \
		--results $(RESULTS)/observers >$(RESULTS)/observers.txt

# Reproduces the table in raw-data: all images of every benchmark.
demo-full: miniature
	$(STUDY) --results $(RESULTS)/full --benchmark \
		adv imagenet_c_generated criticalband spectral suppression \
		"adv --attack fgsm --eps 0.5/255 1/255 2/255 4/255 8/255" model_vs_human imagenet_c \
		model_vs_human_lowpass imagenet_cbar imagenet_p imagenet_ood imagenet imagenet_real \
		refined_bias css frequency_cue_conflict imagenet9 critical_band_masking laion_c \
		laion_c_generated
	@if cmp $(RESULTS)/full/table/benchmark.csv raw-data/benchmark.csv; \
		then echo "the table is identical to raw-data/benchmark.csv"; \
		else echo "the table differs from raw-data/benchmark.csv (docs/miniature.md explains possible reasons)"; fi

miniature: $(VENV)/installed
	$(RUN) code/miniature/draw.py --out $(MINIATURE)

# Two processes, each a file of tests at a time. By itself xdist keeps files of few tests, which are
# the longest, for the end, when one process has nothing left to do.
test: $(VENV)/installed-dev
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# A study on a local Ray cluster of two nodes, one of which is killed; installs Ray.
test-ray: $(VENV)/installed-dev
	$(RUN) -m pip install --quiet --disable-pip-version-check 'ray>=2.40'
	RAY_worker_niceness=0 $(RUN) -m pytest tests/study/test_ray.py

# Ratios to other ways of doing the same work, in results/bench; options in BENCH='--parts attacks'.
bench: $(VENV)/installed-bench
	PYTHONPATH=$(VENV)/bench $(RUN) benchmarks/bench.py --results $(RESULTS)/bench $(BENCH)

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

# jsPsych for the tests of the experiment's page, which skip without it.
$(VENV)/installed-dev: requirements-dev.txt code/lab/package-lock.json $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@if command -v npm >/dev/null; \
		then cd code/lab && npm ci --silent --ignore-scripts --no-audit --no-fund \
			|| echo "npm could not install jsPsych: the tests of code/lab's page skip" >&2; \
		else echo "npm is not installed: the tests of code/lab's page skip" >&2; fi
	@touch $@

# Beside the environment: in it, generated ImageNet-C would use the package's frost photographs.
$(VENV)/installed-bench: requirements-bench.txt $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
		--target $(VENV)/bench -r requirements-bench.txt
	@touch $@
