"""The spectral and critical-band scripts find the biases that the miniature models were given."""

import json

import pytest

import eval_criticalband
import eval_spectral
from miniature import world
from miniature.draw import save

MODELS = ("plain", "shape_randomised", "blur", "gaussian_noise")
UNSEEN = 7  # a world seed that no recipe has trained on


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> dict[str, dict[str, dict]]:
    folder = tmp_path_factory.mktemp("world")
    for picture in world.matched(2):
        save("imagenet", UNSEEN, folder, picture)
    metrics: dict[str, dict[str, dict]] = {name: {} for name in MODELS}
    scripts = {"spectral": eval_spectral, "criticalband": eval_criticalband}
    for name, script in scripts.items():
        argv = ["--model", *(f"{name}=miniature_{name}" for name in MODELS)]
        argv += ["--imagenet", str(folder), "--results", str(folder / "results")]
        assert script.main(argv) == 0
        for model in MODELS:
            summary = folder / "results" / f"imagenet_{name}" / model / "summary.json"
            metrics[model] |= json.loads(summary.read_text())["metrics"]
    return metrics


def test_models_trained_on_blur_live_on_low_frequencies(measured):
    low = {name: measured[name]["metric/bandpass/LPP"]["value"] for name in MODELS}
    assert low["blur"] > low["plain"] + 0.05
    # Texture is in the high frequencies: who goes by it loses most when they are missing.
    assert low["plain"] > low["shape_randomised"] + 0.05


def test_models_trained_on_noise_are_less_sensitive_to_it(measured):
    def kept(name: str) -> float:
        """Return the share of the noise-free accuracy that remains under faint noise at 28 c/i."""
        clean = measured[name]["top1_acc/criticalband/f=0/sd=0"]["value"]
        return measured[name]["top1_acc/criticalband/f=4/sd=0.02"]["value"] / clean

    assert kept("gaussian_noise") > 0.7
    assert kept("plain") < 0.5


def test_faint_noise_of_the_lowest_octave_hides_nothing(measured):
    for name in MODELS:
        clean = measured[name]["top1_acc/criticalband/f=0/sd=0"]["value"]
        assert abs(measured[name]["top1_acc/criticalband/f=0/sd=0.02"]["value"] - clean) < 5
