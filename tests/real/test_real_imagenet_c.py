"""ImageNet-C on real data: the published table by our scores, photographs through real models."""

import numpy as np
import pandas as pd
import pytest

import eval_imagenet_c
import make_imagenet_c
from bvg.data.imagenet_c import SEVERITIES, corruption_condition
from bvg.predictions.table import read_predictions
from bvg.scores.imagenet_c import ALEXNET, corruption_errors, corruption_means, measured
from eval_imagenet_c import IMAGENET_C
from eval_imagenet_cbar import IMAGENET_CBAR

SOME = ("shot_noise", "glass_blur", "motion_blur", "zoom_blur", "fog", "spatter")


@pytest.mark.parametrize("data", [IMAGENET_C, IMAGENET_CBAR], ids=["C", "C-bar"])
def test_our_means_of_the_published_accuracies_are_the_published_means(fixtures, data):
    conditions = [corruption_condition(c, s) for c in data.corruptions for s in SEVERITIES]
    columns = [f"top1_acc/{condition}" for condition in conditions]
    table = pd.read_csv(fixtures / "published" / "benchmark.csv").set_index("model")
    table = table.dropna(subset=[f"top1_acc/{data.key}"])
    assert len(table) == 69 and not table[columns].isna().any(axis=None)
    means = measured(corruption_means(data), tuple(conditions), table[columns].to_numpy())
    assert (means[f"top1_acc/{data.key}"] == table[f"top1_acc/{data.key}"]).all()


def test_the_published_accuracies_give_the_mean_corruption_error_of_resnet50(fixtures):
    """Hendrycks & Dietterich 2019 have 76.7 for torchvision's ResNet-50."""
    conditions = [corruption_condition(c, s) for c in ALEXNET for s in SEVERITIES]
    table = pd.read_csv(fixtures / "published" / "benchmark.csv").set_index("model")
    row = table.loc["tv_resnet50", [f"top1_acc/{condition}" for condition in conditions]]
    errors = measured(corruption_errors(), tuple(conditions), row.to_numpy(dtype=float))
    assert errors["mCE"] == pytest.approx(76.7, abs=0.5)


def test_files_and_generated_images_get_the_same_outputs(fixtures, tmp_path):
    few = ["--corruptions", *SOME, "--severities", "2", "--limit", "12", "--partial"]
    data = ["--imagenet", str(fixtures / "imagenet")]
    assert make_imagenet_c.main([*data, "--out", str(tmp_path / "c"), *few]) == 0
    common = [
        "--model",
        f"{fixtures}/models/mobilenet_tf.py:mobilenet_v1_025",
        "--results",
        str(tmp_path / "r"),
        "--num_workers",
        "0",
        "--device",
        "cpu",
        *few,
    ]
    generate = [*common, *data, "--generate", "--as_published", "--batch_size", "5"]
    assert eval_imagenet_c.main(generate) == 0
    files = [*common, "--imagenet_c", str(tmp_path / "c")]
    assert eval_imagenet_c.main(files) == 0
    made, read = (
        read_predictions(tmp_path / "r" / name / "mobilenet_v1_025" / "predictions.parquet")
        for name in ("imagenet_c_generated", "imagenet_c")
    )
    assert len(read) == 12 * len(SOME) and len(made) == len(read) + 12  # the clean ones
    key = {
        (image, condition): (answers.tolist(), confidence)
        for image, condition, answers, confidence in zip(
            made.images, made.conditions, made.answers, made.confidence, strict=True
        )
    }
    for image, condition, answers, confidence in zip(
        read.images, read.conditions, read.answers, read.confidence, strict=True
    ):
        expected, sure = key[(image, condition)]
        assert answers.tolist()[0] == expected[0]
        np.testing.assert_allclose(confidence, sure, rtol=1e-4)
