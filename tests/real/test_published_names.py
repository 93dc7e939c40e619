"""Joins of published tables, checked on the publishers' figures: same weights, same accuracy.

Where two sources have the same weights in the same protocol, their accuracies agree to a few
images; where protocols differ, the largest difference is stated. A wrong join would be points off:
the last test shows how far.
"""

import numpy as np
import pandas as pd
import pytest

from bvg.published import decisions
from bvg.published.names import MODELS, read_names
from bvg.published.reading import NoFilesError
from bvg.published.sources import READERS
from published_layout import lay_out, with_thresholds

# Sets of timm's results, by the name of our measure.
SETS = {
    "imagenet": "imagenet",
    "imagenet-v2": "imagenetv2-matched-frequency",
    "imagenet-a": "imagenet-a",
    "imagenet-r": "imagenet-r",
    "imagenet-sketch": "sketch",
}
TESTBED = {
    "imagenet": "val",
    "imagenet-v2": "imagenetv2-matched-frequency-format-val",
    "imagenet-a": "imagenet-a",
    "imagenet-r": "imagenet-r",
    "imagenet-sketch": "imagenet-sketch",
}

CORRUPTIONS = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur"),
    *("motion_blur", "zoom_blur", "snow", "frost", "fog", "brightness", "contrast"),
    *("elastic_transform", "pixelate", "jpeg_compression"),
)


@pytest.fixture(scope="module")
def names():
    return read_names()


@pytest.fixture(scope="module")
def external(fixtures):
    return fixtures / "published" / "external"


@pytest.fixture(scope="module")
def timm(external):
    """Return timm's accuracies, a row per model and size, with crop and interpolation."""
    parts = {}
    for measure, name in SETS.items():
        table = pd.read_csv(external / "timm" / f"results-{name}.csv", thousands=",")
        parts[measure] = table.set_index(["model", "img_size"])
    protocol = parts["imagenet"][["crop_pct", "interpolation"]]
    return protocol.join(pd.DataFrame({name: part["top1"] for name, part in parts.items()}))


@pytest.fixture(scope="module")
def quba(external, names):
    table = pd.read_csv(external / "quba_models_named.csv").set_index("quba_id")
    model = names.loc["quba"].loc[table.index, "model"]
    return table.assign(model=model, accuracy=100 * table["Accuracy"])


@pytest.fixture(scope="module")
def study(fixtures, names):
    table = pd.read_csv(fixtures / "published" / "benchmark.csv").set_index("model")
    return table[[f"top1_acc/{measure}" for measure in SETS]].assign(
        model=names.loc["study"].loc[table.index, "model"]
    )


@pytest.fixture(scope="module")
def testbed(external, names):
    table = pd.read_csv(external / "imagenet-testbed.csv").set_index("model")
    table = table.rename(columns={column: name for name, column in TESTBED.items()})
    return table[[*TESTBED]].assign(model=names.loc["testbed"].loc[table.index, "model"])


def nearest(timm, model, accuracy):
    """Return the accuracy less timm's on ImageNet, at the size of timm's that is nearest."""
    differences = accuracy - timm.loc[model, "imagenet"]
    return differences.loc[differences.abs().idxmin()]


def test_every_model_of_the_fixtures_has_one_row(names, external, fixtures):
    tables = {
        "quba": ("quba_models_named.csv", "quba_id"),
        "timm": ("timm/results-imagenet.csv", "model"),
        "testbed": ("imagenet-testbed.csv", "model"),
        "css": ("doshi_css.csv", "model"),
        "critical_band": ("critical_band_networks.csv", "model"),
        "ood_benchmarks": ("ood_benchmarks_values.csv", "model"),
        "corruptionbench": ("corruptionbench_accuracy_corrected.csv", "model"),
        "study": ("../benchmark.csv", "model"),
    }
    for source, (file, column) in tables.items():
        given = set(pd.read_csv(external / file)[column]) - {"model"}
        assert given <= set(names.loc[source].index), source
    openclip = pd.read_csv(external / "openclip_results.csv")
    assert set(openclip["name"] + "/" + openclip["pretrained"]) == set(names.loc["openclip"].index)
    timm_a = pd.read_csv(external / "timm" / "results-imagenet-a.csv")
    both = set(timm_a["model"]) | set(pd.read_csv(external / tables["timm"][0])["model"])
    assert both == set(names.loc["timm"].index)


def test_what_is_imported_has_a_row_and_the_other_way_round(names, fixtures, tmp_path, monkeypatch):
    monkeypatch.setattr(decisions, "networks_of", with_thresholds())
    files = lay_out(fixtures / "published", tmp_path)
    without_files = set()
    for source, reader in READERS.items():
        try:
            values, _ = reader(files)
        except NoFilesError:
            without_files.add(source)
            continue
        imported = {value.model for value in values}
        own = names.loc[source]
        assert imported <= set(own.index), source
        assert own.drop(index=[*imported])["note"].str.contains("no values: ").all(), source
    assert without_files <= {"robustbench"}


def test_quba_s_timm_rows_agree_within_0_05_points_for_every_one(quba, timm):
    rows = quba[quba["source"] == "TIMM_MODELS"]
    assert len(rows) == 127
    assert (rows["model"] == rows["source_name"]).all()
    differences = np.array([nearest(timm, r.model, r.accuracy) for r in rows.itertuples()])
    assert np.abs(differences).max() <= 0.05
    assert differences.mean() == pytest.approx(-0.007, abs=0.002)
    assert differences.std() == pytest.approx(0.015, abs=0.003)


def test_quba_s_torchvision_rows_agree_within_0_39_points(quba, timm):
    rows = quba[quba["source"] == "TORCHVISION_MODELS"]
    joined = rows[rows["model"].isin(timm.index.unique(0))]
    own = joined[joined["model"].str.endswith(".tv_in1k")]
    assert len(own) == 23
    differences = {r.Index: -nearest(timm, r.model, r.accuracy) for r in own.itertuples()}
    assert max(map(abs, differences.values())) < 0.395
    # Other views than timm's: bicubic, or another crop. All others agree to 0.05 points.
    assert {name for name, value in differences.items() if abs(value) > 0.05} == {
        *("DenseNet121", "DenseNet161", "DenseNet169", "DenseNet201", "InceptionV3"),
        "ResNeXt101-64x4d",
    }
    # Weights that torchvision took from timm, in views of torchvision's own for B1, B3 and B4.
    ported = joined.drop(own.index)
    assert [*ported.index] == [f"EfficientNet-B{number}" for number in range(5)]
    differences = [abs(nearest(timm, r.model, r.accuracy)) for r in ported.itertuples()]
    assert max(differences[0], differences[2]) <= 0.05
    assert max(differences) < 0.29


def test_quba_s_other_rows_agree_with_timm(quba, timm):
    rest = quba[~quba["source"].isin(["TIMM_MODELS", "TORCHVISION_MODELS"])]
    rest = rest[rest["model"].isin(timm.index.unique(0))]
    differences = {r.Index: abs(nearest(timm, r.model, r.accuracy)) for r in rest.itertuples()}
    assert len(differences) == 22
    # Its view of these is another model's (crop 0.875), or has no border (Hiera).
    other_view = {
        *("Hiera-T", "Hiera-S", "Hiera-B-Plus", "ResNet50d-A1", "ResNet50d-A2", "ResNet50d-A3"),
        *("ResNext50-32x4d-A2", "ResNext50-32x4d-A3"),
    }
    assert {name for name, value in differences.items() if value > 0.05} == other_view
    assert max(differences.values()) < 0.42


def test_quba_s_zero_shot_rows_agree_with_open_clip(quba, external):
    openclip = pd.read_csv(external / "openclip_results.csv")
    openclip.index = "openclip:" + openclip["name"] + "/" + openclip["pretrained"]
    rows = quba[quba["model"].isin(openclip.index)]
    differences = rows["accuracy"] - 100 * openclip.loc[rows["model"], "ImageNet 1k"].to_numpy()
    assert len(rows) == 18
    assert {*rows.index[differences.abs() > 0.07]} == {"siglip-b-16", "convnext-large-d-320-clip"}
    assert differences.abs().max() < 0.47


def test_the_study_agrees_with_timm_in_the_same_protocol(study, timm):
    expected = {  # of both: val, V2, R, Sketch, A
        "tv_resnet50": ((76.15, 76.16), (63.14, 63.19), (36.16, 36.16), (24.09, 24.06), None),
        "ssl_resnet50": (
            *((79.24, 79.25), (68.19, 68.33), (43.91, 43.90), (29.42, 29.42)),
            (15.80, 15.84),
        ),
    }
    measures = ("imagenet", "imagenet-v2", "imagenet-r", "imagenet-sketch", "imagenet-a")
    for name, pairs in expected.items():
        row = timm.loc[(study.loc[name, "model"], 224)]
        for measure, pair in zip(measures, pairs, strict=True):
            if pair is None:
                assert np.isnan(row[measure])
            else:
                assert study.loc[name, f"top1_acc/{measure}"] == pytest.approx(pair[0], abs=0.006)
                assert row[measure] == pytest.approx(pair[1], abs=0.006)


def test_the_study_agrees_with_timm(study, timm):
    rows = study[study["model"].isin(timm.index.unique(0))]
    assert len(rows) == 24
    same = 0
    for row in rows.itertuples():
        if (row.model, 224) not in timm.index:
            continue
        theirs = timm.loc[(row.model, 224)]
        difference = study.loc[row.Index, "top1_acc/imagenet"] - theirs["imagenet"]
        if theirs["crop_pct"] == 0.875 and theirs["interpolation"] == "bilinear":
            same += 1
            assert abs(difference) <= 0.12, row.Index
        assert abs(difference) <= 0.57, row.Index
    assert same == 3


def test_testbed_agrees_with_timm(testbed, timm):
    rows = testbed[testbed["model"].isin(timm.index.unique(0))]
    assert len(rows) == 85
    largest = {True: dict.fromkeys(SETS, 0.0), False: dict.fromkeys(SETS, 0.0)}
    for name, model in rows["model"].items():
        theirs = timm.loc[model].iloc[0]
        same = theirs["crop_pct"] == 0.875 and theirs["interpolation"] == "bilinear"
        for measure in SETS:
            difference = abs(rows.loc[name, measure] - theirs[measure])
            if not np.isnan(difference):
                largest[same][measure] = max(largest[same][measure], difference)
    # V2 is a set of 10,000 pictures, which testbed has re-encoded.
    limits = {"imagenet": 0.05, "imagenet-r": 0.16, "imagenet-sketch": 0.09}
    for measure, limit in limits.items():
        assert largest[True][measure] <= limit, measure
    assert largest[True]["imagenet-v2"] <= 0.5
    assert largest[True]["imagenet-a"] <= 0.4
    # Another resampling, crop or size: EfficientNets B1 to B7 of another code, BiT at 480 pixels.
    assert largest[False]["imagenet"] <= 0.76
    assert largest[False]["imagenet-sketch"] <= 1.8


def test_testbed_agrees_with_the_study_and_with_quba(testbed, study, quba):
    ours = study.set_index("model")
    shared = testbed[testbed["model"].isin(ours.index)]
    assert len(shared) == 11
    for name, row in shared.iterrows():
        for measure, limit in (("imagenet", 0.05), ("imagenet-r", 0.11), ("imagenet-sketch", 0.06)):
            difference = row[measure] - ours.loc[row["model"], f"top1_acc/{measure}"]
            assert abs(difference) <= limit, (name, measure)
    theirs = quba.drop_duplicates("model").set_index("model")["accuracy"]
    shared = testbed[testbed["model"].isin(theirs.index)]
    differences = shared["imagenet"] - theirs[shared["model"]].to_numpy()
    assert len(shared) == 45
    assert {*differences.index[differences.abs() > 0.1]} == {
        *("BiT-M-R50x3-ILSVRC2012", "BiT-M-R101x1-ILSVRC2012"),  # 480 pixels, 448 in QUBA
        *("inceptionresnetv2", "nasnetalarge", "xception"),  # bilinear, bicubic in QUBA
    }
    assert differences.abs().max() < 0.23


def test_ood_benchmarks_agree_with_timm(external, names, timm):
    table = pd.read_csv(external / "ood_benchmarks_values.csv").set_index("model")
    model = names.loc["ood_benchmarks"].loc[table.index, "model"]
    joined = model[model.isin(timm.index.unique(0))]
    assert len(joined) == 24
    theirs = timm.loc[joined.to_list()].groupby(level=0, sort=False).first().loc[joined.to_list()]
    on_a = 100 * table.loc[joined.index, "imagenet_a_top1"] - theirs["imagenet-a"].to_numpy()
    sketch = table.loc[joined.index, "imagenet_sketch_top1"] - theirs["imagenet-sketch"].to_numpy()
    assert on_a.abs().max() < 3.4
    # Both networks of L2 read sketches at another size, though ImageNet-A tells which they are.
    assert {*sketch.index[sketch.abs() > 2.8]} == {"tf_efficientnet_l2_ns"}
    assert sketch.abs().max() < 5.3
    assert on_a["tf_efficientnet_l2_ns"] == pytest.approx(0.17, abs=0.01)
    # Which B5 and B7 these are, ImageNet-A tells: AutoAugment's is 4.7 points from this B7.
    assert abs(on_a["tf_efficientnet_b7"]) < 0.3
    wrong = timm.loc[("tf_efficientnet_b7.aa_in1k", 600), "imagenet-a"]
    assert abs(100 * table.loc["tf_efficientnet_b7", "imagenet_a_top1"] - wrong) > 4


def test_critical_band_networks_agree_with_timm_on_1000_images(external, names, timm):
    table = pd.read_csv(external / "critical_band_networks.csv").drop_duplicates("model")
    table = table.set_index("model")
    table["joined"] = names.loc["critical_band"].loc[table.index, "model"]
    rows = table[table["joined"].isin(timm.index.unique(0)) & table["bacc"].notna()]
    assert len(rows) == 51
    expected = rows["joined"].map(lambda name: timm.loc[name, "imagenet"].max() / 100)
    z = (rows["bacc"] - expected) / np.sqrt(expected * (1 - expected) / 1000)
    # Images of 224 pixels where the network had 299 or 448, and ImageNet's mean for all.
    assert {*z.index[z.abs() > 3]} == {
        *("BiTM_resnetv2_50x1", "BiTM_resnetv2_101x1", "BiTM_resnetv2_101x3"),
        *("BiTM_resnetv2_152x2", "BiTM_resnetv2_152x4", "inception_v3", "vit_small_patch16_224"),
    }
    # Torchvision's second weights, not its first, which are 3 to 5 points less accurate.
    second = rows[rows["joined"].str.endswith(".tv2_in1k")]
    assert len(second) == 7
    first = second["joined"].str.replace("tv2_in1k", "tv_in1k")
    first = first[first.isin(timm.index.unique(0))].map(
        lambda name: timm.loc[name, "imagenet"].max()
    )
    gap = 100 * second.loc[first.index, "bacc"] - first
    assert gap.mean() > 3
    assert (100 * second["bacc"] - 100 * expected[second.index]).mean() == pytest.approx(0, abs=1)


def test_robustbench_s_corruptions_agree_with_the_study(fixtures, names):
    """Each figure is of 5,000 images: a standard error of 0.7 points, far less between models.

    That Hendrycks2020Many is DeepAugment alone, and not with AugMix, is seen here only.
    """
    measure = "top1_acc/imagenet-c/15"
    table = pd.read_csv(MODELS.with_name("robustbench.csv"))
    theirs = table[table["measure"] == measure].set_index("model")["value"]
    study = pd.read_csv(fixtures / "published" / "benchmark.csv").set_index("model")
    conditions = [f"top1_acc/{name}_{level}" for name in CORRUPTIONS for level in range(1, 6)]
    study = study[conditions].mean(axis=1).rename(names.loc["study", "model"])
    own = names.loc["robustbench"].loc[theirs.index, "model"]
    shared = own[own.isin(study.index)]
    assert len(shared) == 7
    differences = theirs[shared.index] - study[shared].to_numpy()
    assert differences.abs().max() < 0.35
    assert study["resnet50_deepaugment_augmix"] - theirs["Hendrycks2020Many"] > 5


def test_a_wrong_join_would_be_seen(quba, timm):
    """Weights of one architecture differ by points, against 0.05 for the same weights."""
    accuracies = timm["imagenet"].groupby(level=0).max()
    wrong = {
        "ResNet50": ("resnet50.a1_in1k", "resnet50.tv2_in1k", "resnet50.ra_in1k"),
        "ViT-b-16-21k": ("vit_base_patch16_224.augreg_in1k", "vit_base_patch16_224.sam_in1k"),
        "ConvNext-B-21k": ("convnext_base.fb_in1k",),
    }
    for name, models in wrong.items():
        for model in models:
            assert abs(quba.loc[name, "accuracy"] - accuracies[model]) > 1
