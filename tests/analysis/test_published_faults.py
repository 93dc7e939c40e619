import numpy as np
import pandas as pd
import pytest

from bvg.analysis.published_faults import published_cells, published_faults, real_of_last_batch
from conftest import REPOSITORY
from study_helpers import publish

PUBLISHED = pd.DataFrame(
    {
        "top1_acc/imagenet-real": [100 * 282 / 326, 100 * 289 / 326],
        "top1_acc/PGD-40/low": [100 * 9216 / 50_048, 100 * 48 / 50_048],
        "top1_acc/PGD-40/high": [1.0, None],
        "metric/criticalband/bw": [11295.347, 6.2],
        "metric/criticalband/bw_norm": [4.7, 7.9],
    }
)


@pytest.fixture
def published(monkeypatch) -> pd.DataFrame:
    publish(monkeypatch, PUBLISHED)
    return PUBLISHED.copy()


def test_faults_are_recognised_in_the_numbers(published):
    source, real, pgd, high, band = published_faults(published)
    assert "CC BY-SA 4.0" in source
    assert "326 images only" in real
    assert "50,048" in pgd
    assert "missing for 1 of these 2 models" in high
    assert "degenerate for 1 models" in band
    assert "1 of those bandwidths exceed" in band


def test_names_and_order_do_not_matter(published):
    other = published.iloc[::-1, ::-1].set_axis(["mine", "yours"])
    assert published_faults(other) == published_faults(published)


@pytest.mark.parametrize("columns", [[0, 4], [0, 1], [0, 1, 3]])
def test_a_part_of_the_table_has_the_faults_of_that_part(columns, published):
    part = published.iloc[:1, columns]
    found = " ".join(published_faults(part))
    assert "326 images only" in found
    assert ("50,048" in found) == (1 in columns)
    assert ("degenerate" in found) == (3 in columns)


def test_among_other_rows_the_models_are_counted(published):
    own = published.assign(
        **{"top1_acc/imagenet-real": [61.0, 62], "top1_acc/PGD-40/low": [3.0, 4]}
    )
    both = pd.concat([published, own * 1.01], ignore_index=True)
    found = " ".join(published_faults(both))
    assert "for 2 of these 4 models" in found
    assert real_of_last_batch(both).tolist() == [True, True, False, False]


def test_a_value_that_was_measured_again_is_no_fault(published):
    published["top1_acc/imagenet-real"] = [82.96, 85.71]
    found = " ".join(published_faults(published))
    assert "ReaL" not in found
    assert "50,048" in found


@pytest.mark.parametrize("n", [16, 32, 128, 163, 326, 782, 3128, 25_024, 50_048])
def test_results_of_ones_own_have_no_faults_whatever_the_number_of_images(n):
    generator = np.random.default_rng(n)
    names = [f"top1_acc/{name}" for name in ("imagenet", "imagenet-real", "PGD-40/low", "stylized")]
    values = pd.DataFrame(100 * generator.integers(0, n + 1, (40, 4)) / n, columns=names)
    values["shape-bias"] = generator.random(40)
    values.loc[3, "top1_acc/PGD-40/low"] = 100 * 48 / 50_048
    for name, few in {"bw": 20, "cf": 20, "pns": 11}.items():
        values[f"metric/criticalband/{name}_norm"] = generator.integers(1, few, 40) / 2
    assert published_faults(values) == []
    assert published_faults(values[["top1_acc/PGD-40/low"]]) == []
    assert not published_cells(values).to_numpy().any()


def test_a_table_of_ones_own_has_none():
    values = pd.DataFrame(
        {"top1_acc/imagenet-real": [82.96, 85.71], "top1_acc/PGD-40/low": [18.34, 0.0]}
    )
    assert published_faults(values) == []
    assert published_faults(pd.DataFrame(index=["a"])) == []
    ours = pd.read_csv(REPOSITORY / "raw-data" / "benchmark.csv").set_index("model")
    assert published_faults(ours) == []
