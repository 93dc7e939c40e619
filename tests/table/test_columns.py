import pytest

from bvg.table.columns import BENCHMARKS, column_of, is_project_benchmark, rank


@pytest.mark.parametrize(
    ("benchmark", "metric", "column"),
    [
        ("imagenet", "top1_acc/imagenet", "top1_acc/imagenet"),
        ("imagenet_adv", "top1_acc/PGD-40/eps=0.5_255", "top1_acc/PGD-40/low"),
        (
            "imagenet_adv_first",
            "top1_acc/PGD-40-first/eps=0.5_255",
            "top1_acc/PGD-40-first/eps=0.5_255",
        ),
        ("imagenet_adv", "top1_acc/PGD-40/eps=1_510", "top1_acc/PGD-40/low"),
        ("imagenet_adv", "top1_acc/PGD-40/eps=0.00196078431373", "top1_acc/PGD-40/low"),
        ("imagenet_adv", "top1_acc/PGD-40/eps=0.5", "top1_acc/PGD-40/eps=0.5"),
        ("imagenet_adv", "top1_acc/PGD-40/eps=1_0", "top1_acc/PGD-40/eps=1_0"),
        ("imagenet_adv", "top1_acc/PGD-40/eps=1_255", "top1_acc/PGD-40/eps=1_255"),
        ("imagenet_adv", "top1_acc/clean", "imagenet_adv/top1_acc/clean"),
        ("imagenet_spectral", "top1_acc/clean", "imagenet_spectral/top1_acc/clean"),
        ("imagenet_spectral", "metric/bandpass/LPP", "metric/bandpass/LPP"),
        ("imagenet_model_vs_human", "top1_acc/contrast", "top1_acc/contrast"),
        ("imagenet_shape_bias_lowpass", "shape-bias/blur=2.5", "shape-bias/blur=2.5"),
        ("imagenet_c", "top1_acc/contrast", "top1_acc/imagenet-c/contrast"),
        ("imagenet_c", "top1_acc/contrast_3", "top1_acc/contrast_3"),
        ("imagenet_c", "top1_acc/imagenet-c", "top1_acc/imagenet-c"),
        ("imagenet_c_generated", "top1_acc/contrast_3", "imagenet_c_generated/top1_acc/contrast_3"),
        ("my_benchmark", "accuracy", "my_benchmark/accuracy"),
    ],
)
def test_columns_have_the_published_names(benchmark, metric, column):
    metrics = {metric, "top1_acc/contrast_3", "top1_acc/imagenet-c"}
    assert column_of(benchmark, metric, metrics) == column


def test_the_order_of_benchmarks():
    assert is_project_benchmark("imagenet_adv_l2")
    assert not is_project_benchmark("imagenet_advanced")
    names = ["zebra", "imagenet_spectral", "imagenet_adv_l2", "imagenet_adv", "imagenet"]
    assert sorted(names, key=rank) == [
        "imagenet",
        "imagenet_adv",
        "imagenet_adv_l2",
        "imagenet_spectral",
        "zebra",
    ]
    assert len(set(BENCHMARKS)) == len(BENCHMARKS)
