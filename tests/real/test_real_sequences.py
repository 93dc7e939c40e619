"""Sequences made of real photographs, through real models: flips and distances as defined.

BVG_EVERY=1 takes more photographs and models (a minute instead of seconds).
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eval_imagenet_p
from bvg.predictions.table import read_predictions
from oracles import stability as slow
from oracles import straight_line
from sequence_helpers import write_frames, write_mp4

THOROUGH = os.environ.get("BVG_EVERY") == "1"
FACTORIES = ("mobilenet_v1_025", "mobilenet_v2") if THOROUGH else ("mobilenet_v1_025",)
FRAMES, PHOTOS = 31, 3 if THOROUGH else 1


def _perturbed(photo: Image.Image, perturbation: str, step: int, noise) -> np.ndarray:
    """Return one frame, 224 pixels wide, as the published sequences are made."""
    side = 256 / min(photo.size)
    small = photo.resize((round(photo.width * side), round(photo.height * side)))
    left, top = (small.width - 224) // 2, (small.height - 224) // 2
    if perturbation == "rotate":
        small = small.rotate(step - 15, Image.Resampling.BILINEAR)
    if perturbation == "translate":
        left += step - 15
    crop = np.asarray(small.crop((left, top, left + 224, top + 224)))
    if perturbation == "gaussian_noise" and step:
        crop = (crop + 255 * 0.08 * noise.standard_normal(crop.shape)).clip(0, 255).astype(np.uint8)
    return crop


@pytest.fixture(scope="module")
def data(fixtures, tmp_path_factory) -> Path:
    """Return sequences of three photographs: translated and rotated as mp4, noisy as folders."""
    pytest.importorskip("av", reason="PyAV is not installed: pip install av")
    folder, noise = tmp_path_factory.mktemp("sequences"), np.random.default_rng(0)
    photos = sorted((fixtures / "imagenet" / "val").glob("*/*"))[3::130][:PHOTOS]
    for perturbation in ("gaussian_noise", "translate", "rotate"):
        for path in photos:
            photo = Image.open(path).convert("RGB")
            frames = [_perturbed(photo, perturbation, step, noise) for step in range(FRAMES)]
            target = folder / perturbation / path.parent.name / path.stem
            if perturbation == "gaussian_noise":
                write_frames(target, frames)
            else:
                write_mp4(target.with_suffix(".mp4"), frames)
    return folder


@pytest.fixture(scope="module")
def results(fixtures, data, tmp_path_factory) -> Path:
    results = tmp_path_factory.mktemp("results")
    models = [f"{fixtures}/models/mobilenet_tf.py:{name}" for name in FACTORIES]
    words = ["--imagenet_p", str(data), "--partial", "--results", str(results)]
    assert eval_imagenet_p.main(["--model", *models, *words]) == 0
    return results / "imagenet_p"


def _frames(path: Path, folder: Path) -> list[Path]:
    """Return a sequence's frames as files; those of a video are written to `folder` as PNG."""
    import av

    if path.is_dir():
        return [path / f"img{step}.png" for step in range(FRAMES)]
    with av.open(str(path)) as container:
        images = [frame.to_image() for frame in container.decode(video=0)]
    assert len(images) == FRAMES
    write_frames(folder, [np.asarray(image) for image in images])
    return _frames(folder, folder)


@pytest.mark.parametrize("name", FACTORIES)
def test_stability_of_real_decisions_is_the_straight_lines(name, results, data, networks, tmp_path):
    predictions = read_predictions(results / name / "predictions.parquet")
    assert len(predictions) == 3 * PHOTOS
    expected: dict[str, list[tuple[float, float]]] = {}
    for row, (image, perturbation) in enumerate(
        zip(predictions.images, predictions.conditions, strict=True)
    ):
        path = data / perturbation / image
        path = path if path.is_dir() else path.with_suffix(".mp4")
        files = _frames(path, tmp_path / str(row))
        logits = [straight_line.logits_of(networks[name], file, False) for file in files]
        answers = predictions.answers[row].reshape(FRAMES, 5)
        for frame, answer in zip(logits, answers, strict=True):
            best = straight_line.top_five(frame)
            assert answer[0] == best[0]
            np.testing.assert_allclose(frame[answer], frame[best], rtol=0, atol=2e-5)
        expected.setdefault(perturbation, []).append(slow.of_sequence(logits, perturbation))
    metrics = json.loads((results / name / "summary.json").read_text())["metrics"]
    for perturbation, pairs in expected.items():
        flip, distance = np.mean(pairs, axis=0)
        assert metrics[f"flip_prob/{perturbation}"]["value"] == pytest.approx(flip)
        # Two classes whose logits are equal to rounding may come in either order.
        found = metrics[f"top5_distance/{perturbation}"]["value"]
        assert found == pytest.approx(distance, abs=2 / (FRAMES - 1))
        assert distance > 0
        print(f"{perturbation}: {distance:.6f}, {found - distance:+.6f} from the straight line")
    assert any(flip > 0 for pairs in expected.values() for flip, _ in pairs)
