import io

import numpy as np
import pandas as pd
import pytest

from bvg.analysis.beyond import KEYS, STATISTICS, tables_of
from bvg.analysis.correlations import corrected
from bvg.errors import UserError
from bvg.published.names import with_names
from bvg.published.statistics import (
    published_tables,
    read_statistics,
    statistics_texts,
)
from bvg.published.tables import TABLES, read_published, read_sources
from oracles import published as oracle

COMMITTED = [name for name, about in read_sources().items() if about["committed"]]
CORRECTED = [f"{name}{suffix}" for suffix in STATISTICS for name in ("holm", "bh", "by")]


@pytest.fixture(scope="module")
def recomputed():
    """Return the statistics of the tables that the repository has, as text."""
    rows = read_published()
    rows = rows[rows["source"].isin(COMMITTED)]
    categories = published_tables().models["training"].to_dict()
    return statistics_texts(tables_of(with_names(rows), categories))


@pytest.mark.parametrize(
    ("name", "sources", "keys"),
    [
        ("correlations", ["bias_source", "target_source"], KEYS),
        ("instruments", ["a_source", "b_source"], ["a", "a_source", "b", "b_source", "subset"]),
        ("agreement", ["a_source", "b_source"], ["measure", "a_source", "b_source"]),
    ],
)
def test_the_files_are_what_the_tables_give(recomputed, name, sources, keys):
    there = pd.read_csv(TABLES / f"{name}.csv", dtype=str, keep_default_na=False)
    there = there[there[sources].isin(COMMITTED).all(axis=1)].sort_values(keys)
    now = pd.read_csv(io.StringIO(recomputed[f"{name}.csv"]), dtype=str, keep_default_na=False)
    now = now.sort_values(keys)
    assert len(there) >= 1
    # p are corrected for all tests, those too of tables that are not here.
    there, now = (frame.drop(columns=CORRECTED, errors="ignore") for frame in (there, now))
    pd.testing.assert_frame_equal(there.reset_index(drop=True), now.reset_index(drop=True))


@pytest.mark.parametrize("subset", ["all", "ImageNet-1k only", "CNNs"])
@pytest.mark.parametrize("bias", ["shape-bias", "object-focus"])
@pytest.mark.parametrize(
    ("target", "target_source"),
    [
        ("top1_acc/imagenet-c/15", "quba"),
        ("top1_acc/imagenet-sketch", "timm"),
        ("top1_acc/imagenet-a", "timm"),
        ("top1_acc/imagenet-r", "testbed"),
    ],
)
def test_the_files_are_what_pandas_and_scipy_give(bias, target, target_source, subset):
    models = oracle.facts(TABLES)
    accuracy = oracle.column(TABLES, target_source, oracle.ACCURACY)
    if target_source == "quba":  # has it relative to the clean accuracy
        relative = target.replace("top1_acc/", "relative-acc/")
        y = oracle.column(TABLES, "quba", relative) * accuracy
    else:
        y = oracle.column(TABLES, target_source, target)
    members = {
        "all": models["kind"] != "",
        "ImageNet-1k only": models["data"] == "imagenet-1k",
        "CNNs": models["kind"] == "cnn",
    }
    expected = oracle.statistics(
        oracle.column(TABLES, "quba", bias), y, accuracy, models, members[subset]
    )
    table = read_statistics("correlations").set_index(KEYS)
    row = table.loc[(bias, "quba", target, target_source, subset)]
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=6e-4, abs=1e-9), name


@pytest.mark.parametrize(
    ("name", "suffixes"), [("correlations", STATISTICS), ("instruments", [""])]
)
def test_p_are_corrected_for_all_tests_of_the_file(name, suffixes):
    table = read_statistics(name)
    for suffix in suffixes:
        expected = corrected(table[f"p{suffix}"])
        for correction in expected:
            np.testing.assert_allclose(
                table[f"{correction}{suffix}"], expected[correction], rtol=2e-3
            )


def test_statistics_that_are_not_there_are_missed_with_a_remedy(tmp_path):
    with pytest.raises(UserError, match=r"make_published\.py"):
        read_statistics("correlations", tmp_path)
