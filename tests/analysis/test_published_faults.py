import pandas as pd

from analysis.published_faults import published_faults


def test_faults_are_recognised_in_the_numbers():
    values = pd.DataFrame(
        {
            "top1_acc/imagenet-real": [100 * 282 / 326, 100 * 289 / 326],
            "top1_acc/PGD-40/low": [100 * 9216 / 50_048, 100 * 48 / 50_048],
            "top1_acc/PGD-40/high": [1.0, None],
            "metric/criticalband/bw": [11295.347, 6.2],
            "metric/criticalband/bw_norm": [4.7, 7.9],
        }
    )
    source, real, pgd, high, band = published_faults(values)
    assert "CC BY-SA 4.0" in source
    assert "326 images only" in real
    assert "50,048" in pgd
    assert "missing for 1 of these 2 models" in high
    assert "degenerate for 1 models" in band
    assert "1 of those bandwidths exceed" in band


def test_a_table_of_ones_own_has_none():
    values = pd.DataFrame(
        {"top1_acc/imagenet-real": [82.96, 85.71], "top1_acc/PGD-40/low": [18.34, 0.0]}
    )
    assert published_faults(values) == []
    assert published_faults(pd.DataFrame(index=["a"])) == []
