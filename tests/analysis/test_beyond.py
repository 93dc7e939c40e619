import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bvg.analysis import families
from bvg.analysis.beyond import (
    STUDY,
    Tables,
    correlations,
    instruments,
    subsets_of,
    tables_of,
)
from bvg.analysis.correlations import corrected
from oracles import families as oracle

ACCURACY = "top1_acc/imagenet"
FAMILIES = ("resnet", "vit", "convnext", "efficientnet", "swin", "densenet", "vgg")


RESAMPLES = 200


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(families, "RESAMPLES", RESAMPLES)


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    """Return the correlations of the made-up models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(families, "RESAMPLES", RESAMPLES)
        return correlations(made_up())


def made_up(n: int = 60, seed: int = 0) -> Tables:
    """Return three sources of made-up models, in which one ability drives everything a little."""
    generator = np.random.default_rng(seed)
    names = pd.Index([f"net{k}" for k in range(n - 15)] + [f"resnet50.{k}" for k in range(15)])
    of = np.array([*generator.choice(FAMILIES, n - 15), *["resnet"] * 15])
    models = pd.DataFrame(
        {
            "family": of,
            "kind": np.where(np.isin(of, ["vit", "swin"]), "transformer", "cnn"),
            "data": generator.choice(["imagenet-1k", "imagenet-21k"], n, p=[0.8, 0.2]),
            "adversarial": generator.random(n) < 0.2,
            "training": generator.choice(["baseline", "augmentation", "recipes"], n),
        },
        names,
    )
    ability = generator.standard_normal(n)

    def percent():
        return 100 / (1 + np.exp(-(ability + generator.standard_normal(n))))

    quba = {
        "shape-bias": percent() / 100,
        "object-focus": percent() / 100,
        ACCURACY: percent(),
        "top1_acc/imagenet-c/15": percent(),
        "relative-acc/imagenet-c/15": percent() / 100,
        "calibration-error": percent() / 1e4,
    }
    timm = {ACCURACY: percent(), "top1_acc/imagenet-a": percent(), "top1_acc/imagenet-r": percent()}
    css = {"css/72": percent() / 100}
    values = {
        "quba": pd.DataFrame(quba, names),
        "timm": pd.DataFrame(timm, names).iloc[5:],
        "css": pd.DataFrame(css, names).iloc[:40],
    }
    values["timm"].iloc[3:6, 1] = np.nan
    images = {"quba": {ACCURACY: 50_000}, "timm": {ACCURACY: 50_000}, "css": {}}
    return Tables(values, images, models)


def row_of(table: pd.DataFrame, **wanted: str) -> pd.Series:
    found = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    assert len(found) == 1
    return found.iloc[0]


@pytest.mark.parametrize(
    ("bias_source", "bias", "target_source", "target", "accuracy_source"),
    [
        ("quba", "shape-bias", "quba", "top1_acc/imagenet-c/15", "quba"),
        ("quba", "object-focus", "timm", "top1_acc/imagenet-a", "timm"),
        ("css", "css/72", "quba", "top1_acc/imagenet-c/15", "quba"),
        ("css", "css/72", "timm", "top1_acc/imagenet-r", "timm"),
    ],
)
@pytest.mark.parametrize("subset", ["all", "ImageNet-1k only", "not adversarially trained"])
def test_every_statistic_is_pandas_and_scipys(
    measured, bias_source, bias, target_source, target, accuracy_source, subset
):
    tables = made_up()
    row = row_of(
        measured,
        bias_source=bias_source,
        bias=bias,
        target_source=target_source,
        target=target,
        subset=subset,
    )
    of = tables.values
    ordinary = (tables.models["data"] == "imagenet-1k") & ~tables.models["adversarial"]
    effective = oracle.beyond_accuracy(
        of[target_source][target], of[accuracy_source][ACCURACY], ordinary
    )
    frame = pd.concat(
        [
            of[bias_source][bias].rename("x"),
            of[target_source][target].rename("y"),
            of[accuracy_source][ACCURACY].rename("z"),
            effective.rename("e"),
        ],
        axis=1,
    ).dropna()
    models = tables.models.loc[frame.index]
    if subset == "ImageNet-1k only":
        frame = frame[models["data"] == "imagenet-1k"]
    if subset == "not adversarially trained":
        frame = frame[~models["adversarial"]]
    of_model = tables.models.loc[frame.index, "family"]
    assert (row["n"], row["families"]) == (len(frame), of_model.nunique())
    assert (row["unit"], row["accuracy_source"]) == ("architecture", accuracy_source)
    known = of[target_source][target].notna() & of[accuracy_source][ACCURACY].notna()
    assert row["reference"] == (ordinary & known).sum()
    assert row["r"] == pytest.approx(oracle.spearman(frame, "x", "y"), abs=1e-12)
    assert row["r_given"] == pytest.approx(oracle.partial(frame, "x", "y", "z"), abs=1e-12)
    assert row["r_effective"] == pytest.approx(oracle.spearman(frame, "x", "e"), abs=1e-12)
    without = {
        name: oracle.partial(frame[of_model != name], "x", "y", "z") for name in set(of_model)
    }
    assert row["least_given"] == pytest.approx(min(without.values()), abs=1e-9)
    assert row["most_given"] == pytest.approx(max(without.values()), abs=1e-9)
    turning = sorted(name for name, r in without.items() if r * row["r_given"] < 0)
    assert row["turns_without_given"] == ", ".join(turning)


def test_intervals_are_those_of_copied_families(measured):
    tables = made_up()
    row = row_of(
        measured,
        bias_source="quba",
        bias="shape-bias",
        target="top1_acc/imagenet-c/15",
        subset="all",
    )
    frame = tables.values["quba"]
    of_model = tables.models["family"]
    names = sorted(set(of_model))
    drawn = np.random.default_rng(0).integers(len(names), size=(200, len(names)))
    resampled = [
        oracle.partial(
            oracle.resample(frame, of_model, [names[k] for k in one]),
            *("shape-bias", "top1_acc/imagenet-c/15", ACCURACY),
        )
        for one in drawn
    ]
    effective = len(of_model) ** 2 / (of_model.value_counts() ** 2).sum()
    wider = np.sqrt(effective / (effective - 1)) * stats.t(effective - 1).isf(0.025)
    ends = stats.norm.cdf([-wider, wider])
    expected = np.quantile(resampled, ends)
    assert [row["low_given"], row["high_given"]] == pytest.approx([*expected], abs=1e-9)


def test_every_combination_is_there_once_and_corrected_for_all(measured):
    table = measured
    keys = ["bias", "bias_source", "target", "target_source", "subset"]
    assert not table[keys].duplicated().any()
    pairs = table[table["subset"] == "all"][keys[:4]].value_counts()
    # Two biases of QUBA and one of CSS, times three benchmarks of QUBA and two of timm.
    assert len(pairs) == 3 * 5
    assert (table["n"] >= 10).all()
    for suffix in ("", "_given", "_effective"):
        expected = corrected(table[f"p{suffix}"])
        for name in ("holm", "bh", "by"):
            np.testing.assert_array_equal(table[f"{name}{suffix}"], expected[name])
    relative = table["target"].isin(["relative-acc/imagenet-c/15", "calibration-error"])
    assert table.loc[relative, "r_effective"].isna().all()
    assert table.loc[~relative, "r_effective"].notna().all()
    pd.testing.assert_frame_equal(table, correlations(made_up()))


def test_models_of_one_architecture_are_resampled_by_their_training(measured):
    table = measured
    rows = table[table["subset"] == "ResNet-50s"]
    assert set(rows["unit"]) == {"training"}
    assert (rows["families"] == 3).all()
    assert rows[["low", "high", "p", "holm"]].isna().all(axis=None)  # too few of these
    assert rows["r"].notna().all()
    assert set(table[table["subset"] != "ResNet-50s"]["unit"]) == {"architecture"}


def test_a_group_that_is_all_of_the_models_is_not_tested_again():
    tables = made_up()
    tables.models["data"] = "imagenet-1k"
    tables.models["adversarial"] = False
    assert not {"ImageNet-1k only", "not adversarially trained", "adversarially trained"} & set(
        correlations(tables)["subset"]
    )


@pytest.mark.parametrize(
    ("name", "is_one"),
    {
        "resnet50.tv_in1k": True,
        "resnet50_augmix_180ep": True,
        "robust_resnet50_l2_eps0": True,
        "testbed:resnet50-vtab": True,
        "quba:ResNet50-DINO-FT": True,
        "resnet50": True,
        "wide_resnet50_2.tv2_in1k": False,
        "nf_resnet50.ra2_in1k": False,
        "resnet50d.a1_in1k": False,
        "resnet50_gn.a1h_in1k": False,
        "vonenet_resnet50": False,
        "resnet101.a1_in1k": False,
        "simclr_resnet50x2": False,
    }.items(),
)
def test_what_a_resnet50_is(name, is_one):
    models = made_up().models.iloc[:1].rename(index=lambda _: name)
    assert subsets_of(models)["ResNet-50s"].tolist() == [is_one]


def test_accuracy_comes_from_the_benchmarks_source_else_the_biases_else_timm():
    tables = made_up()
    del tables.values["timm"][ACCURACY]
    table = correlations(tables)
    assert set(
        table[table["target_source"] == "timm"].query("bias_source == 'quba'")["accuracy_source"]
    ) == {"quba"}
    nowhere = table[(table["target_source"] == "timm") & (table["bias_source"] == "css")]
    assert set(nowhere["accuracy_source"]) == {""}
    assert nowhere["r"].notna().all()
    assert nowhere[["r_given", "r_effective", "p_given"]].isna().all(axis=None)


def test_the_studys_line_is_of_its_baseline_and_its_recipes():
    tables = made_up()
    tables.models["training"] = ["baseline", "training_recipes", "augmentation"] * 20
    values = {STUDY: tables.values["quba"]}
    table = correlations(Tables(values, {STUDY: {}}, tables.models))
    rows = table[table["target"] == "top1_acc/imagenet-c/15"]
    assert set(rows["reference"]) == {40}


def test_instruments_are_compared_with_each_other():
    tables = made_up()
    table = instruments(tables)
    every = table[table["subset"] == "all"]
    assert {(*row,) for row in every[["a_source", "a", "b_source", "b"]].to_numpy()} == {
        ("quba", "shape-bias", "quba", "object-focus"),
        ("quba", "shape-bias", "css", "css/72"),
        ("quba", "object-focus", "css", "css/72"),
    }
    row = row_of(table, a="object-focus", b="css/72", subset="all")
    frame = tables.values["quba"].join(tables.values["css"]).dropna()
    assert row["r"] == pytest.approx(oracle.spearman(frame, "object-focus", "css/72"), abs=1e-12)
    assert row["n"] == len(frame) == 40
    pd.testing.assert_frame_equal(table[["holm", "bh", "by"]], corrected(table["p"]))


def published(*cells: dict) -> pd.DataFrame:
    """Return published rows, of which only what differs from the usual is given."""
    usual = {
        **{"source": "timm", "model": "resnet50.a1_in1k", "size": "224", "measure": ACCURACY},
        **{"value": 80.0, "n": 50_000, "family": "resnet", "kind": "cnn", "data": "imagenet-1k"},
        "adversarial": "no",
    }
    return pd.DataFrame([usual | one for one in cells])


def test_of_several_sizes_the_smallest_counts_and_of_several_prompts_the_mean():
    shape = {"source": "vlm", "model": "clip", "measure": "shape-bias", "size": "", "n": 1200}
    rows = published(
        {"size": "288", "value": 81.0},
        {},
        {"size": "1024", "value": 82.0},
        *[shape | {"value": value} for value in (0.5, 0.6, 0.4)],
    )
    tables = tables_of(rows, {"resnet50.a1_in1k": "training_recipes"})
    assert tables.values["timm"].loc["resnet50.a1_in1k", ACCURACY] == 80
    assert tables.values["vlm"].loc["clip", "shape-bias"] == pytest.approx(0.5)
    assert tables.images == {"timm": {ACCURACY: 50_000}, "vlm": {"shape-bias": 1200}}
    facts = tables.models.T.to_dict()
    assert facts["resnet50.a1_in1k"]["training"] == "training_recipes"
    assert facts["clip"]["training"] == "clip"  # known to nobody: of a kind of its own
    assert facts["clip"]["adversarial"] is False


def test_relative_accuracies_are_accuracies_too():
    relative = {"measure": "relative-acc/imagenet-c/15", "value": 0.6, "n": 50_000}
    tables = tables_of(published({}, relative, {"model": "b"}), {})
    values = tables.values["timm"]
    assert values.loc["resnet50.a1_in1k", "top1_acc/imagenet-c/15"] == pytest.approx(48)
    assert np.isnan(values.loc["b", "top1_acc/imagenet-c/15"])
    assert tables.images["timm"]["top1_acc/imagenet-c/15"] == 50_000


def test_people_and_untrained_networks_are_no_models():
    rows = published(
        {},
        {"model": "people", "family": "human", "kind": "other"},
        {"model": "pixels", "family": "no-network", "kind": "other"},
        {"model": "resnet50_untrained", "data": "none"},
    )
    tables = tables_of(rows, {})
    assert [*tables.models.index] == [*tables.values["timm"].index] == ["resnet50.a1_in1k"]


def test_of_the_study_only_what_it_compares_is_there():
    cells = [
        {"source": STUDY, "model": model, "measure": measure}
        for model in ("complete", "lacks C", "a transformer")
        for measure in (ACCURACY, "metric/criticalband/bw_norm", "top1_acc/imagenet-c/15")
        if (model, measure) != ("lacks C", "top1_acc/imagenet-c/15")
    ]
    categories = {"complete": "baseline", "lacks C": "baseline", "a transformer": "transformer"}
    values = tables_of(published(*cells), categories).values[STUDY]
    assert [*values.index] == ["complete"]
    assert "critical-band/bandwidth" in values  # as other sources call it
