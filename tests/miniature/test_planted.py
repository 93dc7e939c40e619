"""Every instrument finds the bias that a model was given, on pictures that none has seen.

The stimuli and the scores are those of the benchmarks; only the pictures are drawn here.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import eval_critical_band_masking
import eval_refined_bias
from bvg.data.css import members_of
from bvg.data.imagenet_x import FACTORS, Annotations
from bvg.data.preprocessing import SQUASHED_224
from bvg.predictions.table import Predictions
from bvg.run.decisions import largest_of, top5
from bvg.scores.calibration import calibration_metrics
from bvg.scores.criticalband import accuracy_matrix, integer_thresholds
from bvg.scores.imagenet9 import FOCUS, GAP, imagenet9_metrics, key_of
from bvg.scores.imagenet_w import WATERMARK
from bvg.scores.imagenet_x import imagenet_x_metrics
from bvg.scores.shape_bias import count_decisions
from bvg.scores.spectral import spectral_measures
from bvg.stimuli.batch import CLEAN, Batch, Stimuli
from bvg.stimuli.criticalband import WITHOUT_NOISE, condition_name
from bvg.stimuli.imagenet_w import font_file, text_layer, under_white
from bvg.stimuli.laion_c import corrupted
from bvg.stimuli.lowpass import lowpass
from bvg.stimuli.suppression import ORIGINAL, suppressed
from bvg.stimuli.suppression import condition_name as suppression_name
from eval_criticalband import BANDS
from eval_criticalband import stimuli as critical_band
from eval_imagenet_w import ALPHA, FONT_SIZES, POSITION, TEXT
from eval_laion_c import generator
from eval_spectral import stimuli as spectral
from eval_suppression import CUES
from miniature import anagrams, backgrounds, measure, world
from miniature.augmentation import attacked
from miniature.draw import save
from miniature.hybrids import hybrids
from miniature.measure import decisions, load, normalised, sample
from miniature.sets import NOISES, SETS

WEIGHTS = Path(measure.__file__).parent / "weights"
UNSEEN = 7  # a world seed that no recipe has trained on
PICTURES = list(world.matched(3))
LABELS = torch.tensor([picture.shape for picture in PICTURES])
NOISY_BAND = 4  # the octave of noise that band_noise was trained on


@pytest.fixture(scope="module")
def batch() -> Batch:
    pixels = sample(UNSEEN, "planted", PICTURES) / 255
    names = tuple(f"{picture.shape}/{picture.number}" for picture in PICTURES)
    return Batch(pixels, names, LABELS, seed=0)


def model(name: str) -> torch.nn.Module:
    return load(WEIGHTS / f"{name}.safetensors")


@torch.inference_mode()
def right(network: torch.nn.Module, x: torch.Tensor) -> float:
    return (network(normalised(x)).argmax(dim=1) == LABELS).double().mean().item()


def accuracies(batch: Batch, stimuli: Stimuli, *names: str) -> dict[str, dict[str, float]]:
    """Return the accuracy of each model under each condition."""
    models = {name: model(name) for name in names}
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for condition, x in stimuli(batch):
        for name, network in models.items():
            found[name][condition] = right(network, x)
    return found


def test_spectral_bias_is_lowest_of_low_pass_and_highest_of_high_pass_training(batch):
    found = accuracies(batch, spectral, "blur", "plain", "high_pass")
    measured = {name: spectral_measures(accuracy) for name, accuracy in found.items()}
    bias = {name: m["metric/bandpass/spectral-bias"] for name, m in measured.items()}
    assert bias["blur"] < bias["plain"] - 0.005
    assert bias["high_pass"] > bias["plain"] + 0.1
    low = {name: m["metric/bandpass/LPP"] for name, m in measured.items()}
    assert low["blur"] > low["plain"] + 0.05


def test_noise_of_one_octave_disturbs_least_who_was_trained_on_it(batch):
    """greyscale has the same recipe but for the noise."""
    found = accuracies(batch, critical_band, "band_noise", "greyscale", "plain")
    assert found["band_noise"][WITHOUT_NOISE] > 0.5
    assert found["greyscale"][WITHOUT_NOISE] > 0.8
    matrix = {name: accuracy_matrix(accuracy) for name, accuracy in found.items()}
    threshold = {
        name: integer_thresholds(m, m[0, 0] / 2).tolist()[NOISY_BAND] for name, m in matrix.items()
    }
    assert threshold["band_noise"] <= threshold["greyscale"] - 2
    assert threshold["band_noise"] <= threshold["plain"] - 2
    kept = {
        name: [accuracy[condition_name(band, 0.04)] / accuracy[WITHOUT_NOISE] for band in BANDS]
        for name, accuracy in found.items()
    }
    gain = [a - b for a, b in zip(kept["band_noise"], kept["greyscale"], strict=True)]
    assert max(gain) == gain[NOISY_BAND] > 0.5


def test_noise_in_published_files_disturbs_least_who_was_trained_on_it(tmp_path):
    """The same through the script, on files in the layout of critical-band masking."""
    name, names = "critical-band-masking", ("band_noise", "greyscale")
    for picture in SETS[name].pictures(1):
        sd, band = NOISES[picture.number - 1]
        if sd == "0" or (band == NOISY_BAND and sd in ("0.02", "0.04")):
            save(name, UNSEEN, tmp_path / name, picture)
    argv = ["--model", *(f"{model}=miniature_{model}" for model in names), "--wandb", "disabled"]
    argv += ["--critical_band_masking", str(tmp_path / name), "--results", str(tmp_path)]
    assert eval_critical_band_masking.main(argv) == 0
    kept = {}
    for model in names:
        summary = tmp_path / "critical_band_masking" / model / "summary.json"
        metrics = json.loads(summary.read_text())["metrics"]
        assert metrics["critical-band/bandwidth"]["value"] is None  # other octaves are missing
        found = {
            key: metrics[f"top1_acc/critical-band/{key}"]["value"]
            for key in ("f=0/sd=0", "f=4/sd=0.02", "f=4/sd=0.04")
        }
        assert found["f=0/sd=0"] > 50
        kept[model] = found["f=4/sd=0.02"] + found["f=4/sd=0.04"]
    assert kept["band_noise"] > kept["greyscale"] + 50


@torch.inference_mode()
def test_low_pass_filters_change_the_answers_of_texture_models_not_of_the_blurred(batch):
    """blur was trained on blurred pictures, shape_randomised knows textures alone."""
    models = {name: model(name) for name in ("blur", "plain", "shape_randomised")}
    answers = {
        condition: {name: network(normalised(x)).argmax(dim=1) for name, network in models.items()}
        for condition, x in lowpass(batch, sigmas=[2.5, 4], sides=[64])
    }
    clean = answers.pop("clean")
    for condition, of in answers.items():
        kept = {name: (of[name] == clean[name]).double().mean().item() for name in models}
        assert kept["blur"] > 0.9, condition
        assert kept["shape_randomised"] < kept["plain"] - 0.15, condition
        assert kept["shape_randomised"] < (0.25 if condition == "blur=4" else 0.65), condition


def without_each_cue(batch: Batch):
    yield ORIGINAL, batch.pixels
    yield from suppressed(batch, CUES.values())


def test_suppression_finds_who_relies_on_shape_and_who_on_texture(batch):
    names = ("plain", "stylised", "shape_randomised", "greyscale", "blur")
    found = accuracies(batch, without_each_cue, *names)
    kept = {
        cue: {name: found[name][suppression_name(c)] / found[name][ORIGINAL] for name in names}
        for cue, c in CUES.items()
    }
    texture, shape = kept["texture"], kept["global-shape"]
    assert min(texture, key=texture.__getitem__) == "shape_randomised"
    assert texture["shape_randomised"] < texture["plain"] - 0.15
    assert texture["plain"] < texture["stylised"] - 0.05
    assert texture["stylised"] > 0.9 and texture["blur"] > 0.9
    assert shape["shape_randomised"] > 0.8
    assert all(shape[name] < 0.5 for name in names if name != "shape_randomised")
    assert min(shape, key=shape.__getitem__) == "stylised"
    assert kept["local-shape"]["shape_randomised"] > max(
        kept["local-shape"][name] for name in names if name != "shape_randomised"
    )
    assert kept["colour"]["greyscale"] > 0.97
    assert min(kept["colour"].values()) > 0.9  # of no model of this world, colour is a cue


@torch.inference_mode()
def test_only_who_knows_shapes_recognises_both_arrangements_of_the_same_pieces():
    """shape_randomised knows textures alone, of which the pictures have none."""
    pairs = anagrams.ordered_pairs()[::2]
    pictures = [p for pair in pairs for p in anagrams.anagram(*pair, 1, UNSEEN)]
    squash = SQUASHED_224["pillow"]
    pixels = np.stack([squash(Image.fromarray(picture)) for picture in pictures])
    x = normalised(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)
    labels = torch.tensor([anagrams.SHOWN.index(name) for pair in pairs for name in pair])
    decide = largest_of(members_of(anagrams.SHOWN, world.CATEGORIES))
    score, accuracy = {}, {}
    for name in ("blur", "stylised", "plain", "shape_randomised"):
        answers = decide(model(name)(x), labels)["answers"][:, 0]
        right = (answers == labels).double().reshape(-1, 2)
        score[name], accuracy[name] = right.prod(dim=1).mean().item(), right.mean().item()
    assert score["shape_randomised"] < 0.06 and accuracy["shape_randomised"] < 0.25
    assert score["blur"] > 0.35
    assert score["stylised"] > score["shape_randomised"] + 0.1
    assert score["stylised"] > score["plain"] + 0.05


def test_frequency_conflict_finds_who_was_trained_on_low_frequencies_and_on_high():
    found = [*hybrids(UNSEEN)][::2]
    index = world.CATEGORIES.index
    low, high = np.array([(index(one), index(other)) for one, other, *_ in found]).T
    images = torch.from_numpy(np.stack([image for *_, image in found])).permute(0, 3, 1, 2)
    bias = {}
    for name in ("blur", "plain", "high_pass"):
        counts = count_decisions(decisions(model(name), images).numpy(), low, high)
        bias[name] = counts.bias().value
        assert counts.shape + counts.texture > 0.4 * counts.total
    assert bias["blur"] > 0.6
    assert bias["plain"] < 0.35 and bias["high_pass"] < 0.35


def vertical_lines(batch: Batch):
    """Yield levels 2 to 4: at 1 and 5, too much and too little is left."""
    levels = {f"{level}": generator("vertical_lines", level, None) for level in (2, 3, 4)}
    yield from corrupted(batch, levels)


def test_lines_are_read_by_outline_and_best_by_who_was_trained_on_noise(batch):
    """Lines keep the outlines and take the texture away; the gaps between them are fine noise."""
    names = ("gaussian_noise", "stylised", "plain", "shape_randomised")
    found = accuracies(batch, vertical_lines, *names)
    mean = {name: sum(accuracy.values()) / 3 for name, accuracy in found.items()}
    assert mean["gaussian_noise"] > mean["plain"] + 0.25
    assert mean["stylised"] > mean["plain"] + 0.1
    assert mean["plain"] > mean["shape_randomised"] + 0.04
    assert mean["stylised"] > mean["shape_randomised"] + 0.2


def test_refined_bias_tells_the_shape_model_from_the_texture_model(tmp_path):
    """Of shapes in others' textures, and of textures without a shape; the script on few images."""
    for picture in SETS["refined-bias"].pictures(1):
        if picture.number == 1:
            save("refined-bias", UNSEEN, tmp_path / "data", picture)
    names = ["miniature_plain", "miniature_stylised", "miniature_shape_randomised"]
    words = [
        "--refined_bias",
        str(tmp_path / "data"),
        "--results",
        str(tmp_path),
        "--device",
        "cpu",
    ]
    assert eval_refined_bias.main(["--model", *names, *words]) == 0
    assert (tmp_path / "refined_bias" / "shape_and_texture.png").exists()
    found = [
        json.loads((tmp_path / "refined_bias" / name / "summary.json").read_text())["metrics"]
        for name in names
    ]
    shape, texture = (
        [metrics[f"refined-bias/{cue}-mrr"]["value"] for metrics in found]
        for cue in ("shape", "texture")
    )
    plain, stylised, randomised = range(3)
    assert shape[stylised] > 0.95 and texture[randomised] > 0.8
    assert shape[stylised] - 0.2 > shape[plain] > shape[randomised] + 0.2
    assert texture[randomised] - 0.2 > texture[plain] > texture[stylised] + 0.1
    assert shape[randomised] < 0.25 and texture[stylised] < 0.25  # chance is 0.21


def test_adversarial_training_makes_robust_and_a_larger_radius_more_so(batch):
    def robust(name: str, epsilon: float, norm: str) -> float:
        network, rng = model(name), torch.Generator().manual_seed(0)
        return right(network, attacked(network, batch.pixels, LABELS, epsilon, rng, norm))

    # Stronger than any was trained against, so that they differ.
    for norm, epsilon, smaller, larger in (
        ("inf", 12 / 255, "adversarial_linf_2", "adversarial"),
        ("2", 8.0, "adversarial_l2_1", "adversarial_l2_4"),
    ):
        plain, small, large = (robust(name, epsilon, norm) for name in ("plain", smaller, larger))
        assert plain < 0.15
        assert plain + 0.15 < small < large - 0.1


def test_shape_bias_has_the_planted_models_at_its_ends():
    pictures = [p for p in world.cue_conflict(1) if p.shape != p.texture][::3]
    images = sample(UNSEEN, "cue-conflict", pictures)
    shapes, textures = zip(*((p.shape, p.texture) for p in pictures), strict=True)
    bias = {
        path.stem: count_decisions(decisions(load(path), images).numpy(), shapes, textures).bias()
        for path in WEIGHTS.glob("*.safetensors")
    }
    values = {name: metric.value for name, metric in bias.items()}
    assert min(values, key=values.__getitem__) == "shape_randomised"
    assert values["shape_randomised"] < 0.05
    assert values["stylised"] > 0.95
    without = set(values) - {"stylised", "stylised_and_plain"}  # which also must go by shape
    assert all(values[name] < values["stylised"] - 0.05 for name in without)
    assert values["stylised_and_plain"] > 0.95


@torch.inference_mode()
def test_backgrounds_matter_to_the_texture_model_most():
    """Of backgrounds, only the texture tells the category; stylised learned to ignore textures."""
    drawn = [
        (variant, picture, image)
        for picture in PICTURES
        for variant, _, image in backgrounds.variants(UNSEEN, picture)
        if variant in ("original", "mixed_same", "mixed_rand", "only_fg", "only_bg_t")
    ]
    images = torch.from_numpy(np.stack([image for *_, image in drawn])).permute(0, 3, 1, 2) / 255
    found = {}
    for name in ("plain", "stylised", "shape_randomised"):
        answers = top5(model(name)(normalised(images)))
        found[name] = imagenet9_metrics(
            Predictions(
                world.CATEGORIES,
                np.array([f"{p.shape}/{p.number}" for _, p, _ in drawn], object),
                np.array([variant for variant, *_ in drawn], object),
                np.array([p.shape for _, p, _ in drawn], np.int16),
                answers["answers"].numpy(),
                answers["confidence"].numpy(),
                {},
            )
        )
    texture = found.pop("shape_randomised")
    assert texture[GAP].low > 20 and texture[FOCUS].high < 0.8
    for other in found.values():
        assert other[GAP].value < texture[GAP].low
        assert other[key_of("only_bg_t")].value < texture[key_of("only_bg_t")].low
        assert other[key_of("only_fg")].value > 90
    assert found["stylised"][FOCUS].value > 0.9


def with_watermark(batch: Batch):
    side = batch.pixels.shape[-1]
    layer = text_layer(side, TEXT, font_file(None), FONT_SIZES[side], POSITION, ALPHA)
    yield CLEAN, batch.pixels
    yield WATERMARK, under_white(batch.pixels, layer)


def test_thin_letters_disturb_who_looks_at_high_frequencies_not_who_learned_in_noise(batch):
    found = accuracies(batch, with_watermark, "gaussian_noise", "high_pass")
    gap = {name: accuracy[WATERMARK] - accuracy[CLEAN] for name, accuracy in found.items()}
    assert gap["gaussian_noise"] > -0.05
    assert gap["high_pass"] < -0.1


@torch.inference_mode()
def predictions(name: str, images: torch.Tensor, labels: list[int]) -> Predictions:
    """Return a model's answers to images that are named like the archive's, from number 1."""
    answers = top5(model(name)(normalised(images)), torch.tensor(labels))
    rows = {key: values.numpy() for key, values in answers.items()}
    files = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, len(labels) + 1)]
    return Predictions(
        world.CATEGORIES,
        np.array(files, object),
        np.full(len(labels), "clean", object),
        np.array(labels, np.int16),
        rows["answers"],
        rows["confidence"],
        {"label_probability": rows["label_probability"]},
    )


def test_training_with_softened_labels_makes_too_cautious(batch):
    """A tenth of the label was spread; blended pictures had two labels."""
    over = {
        name: calibration_metrics(predictions(name, batch.pixels, LABELS.tolist()))
        for name in ("plain", "label_smoothing", "mixup", "cutmix")
    }
    plain = over.pop("plain")
    assert plain["calibration/ece"].value < 0.05
    for metrics in over.values():
        assert metrics["calibration/overconfidence"].high < -0.05
        assert metrics["calibration/ece"].low > plain["calibration/ece"].high


def test_unusual_textures_are_the_factor_of_the_texture_models_errors():
    """Half of the pictures have another category's texture, which is what annotators would name."""
    pictures = [*world.matched(2), *world.texture_randomised(2)]
    images = sample(UNSEEN, "imagenet-x", pictures) / 255
    other = np.array([picture.shape != picture.texture for picture in pictures])
    annotations = Annotations(
        np.arange(1, len(pictures) + 1),
        np.array([picture.shape for picture in pictures]),
        np.where(other, FACTORS.index("texture"), FACTORS.index("pose")),
    )
    found = {
        name: imagenet_x_metrics(
            predictions(name, images, [picture.shape for picture in pictures]), annotations
        )
        for name in ("shape_randomised", "plain", "stylised")
    }
    accuracy = {name: m["imagenet-x/texture/accuracy"].value for name, m in found.items()}
    assert accuracy["shape_randomised"] < 10 < accuracy["plain"] < 60 < 90 < accuracy["stylised"]
    for name in ("shape_randomised", "plain"):
        ratio = found[name]["imagenet-x/texture/error-ratio"]
        assert ratio.low > 1.5  # at most 2, where half of the pictures have the factor
        assert found[name]["imagenet-x/pose/error-ratio"].value < 0.1
