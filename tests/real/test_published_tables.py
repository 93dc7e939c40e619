"""The publishers' own files: what is imported is what they state, and every fault is found."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from bvg.published import decisions
from bvg.published.reading import C15, C_BAR, MEANS, TOP1
from bvg.published.sources import READERS
from bvg.published.tables import TABLES, read_published, read_sources, table_text, wide
from bvg.table.columns import CORRUPTIONS
from make_published import main
from published_layout import lay_out, with_thresholds

C = "top1_acc/imagenet-c"
ABSENT = "robustbench"  # of its files there is no copy


@pytest.fixture(scope="module")
def published(fixtures):
    return fixtures / "published"


@pytest.fixture(scope="module")
def publishers(published, tmp_path_factory):
    """Return a folder with the publishers' files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decisions, "networks_of", with_thresholds())
        yield lay_out(published, tmp_path_factory.mktemp("publishers"))


@pytest.fixture(scope="module")
def imported(publishers):
    """Return what each source gives: its values, and the sentences about its faults."""
    return {name: reader(publishers) for name, reader in READERS.items() if name != ABSENT}


@pytest.fixture(scope="module")
def tables(imported, tmp_path_factory):
    """Return all tables as one, those that the repository may not have among them."""
    folder = tmp_path_factory.mktemp("published")
    shutil.copy(TABLES / "sources.toml", folder)
    shutil.copy(TABLES / f"{ABSENT}.csv", folder)
    for source, (values, _) in imported.items():
        (folder / f"{source}.csv").write_text(table_text(source, values))
    return read_published(folder)


def test_the_command_gives_the_tables_of_the_repository(publishers, tmp_path, capsys):
    assert main(["--files", str(publishers), "--out", str(tmp_path)]) == 0
    assert f"{ABSENT}: " in capsys.readouterr().out
    for source, about in read_sources().items():
        if source != ABSENT:
            made = (tmp_path / f"{source}.csv").read_bytes()
            if about["committed"]:
                assert made == (TABLES / f"{source}.csv").read_bytes(), source
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")}
    assert len(before) == len(READERS) - 1
    assert main(["--files", str(publishers), "--out", str(tmp_path)]) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")} == before


def rows_of(tables: pd.DataFrame, source: str) -> pd.DataFrame:
    own = tables[(tables["source"] == source) & ~tables["row"].str.contains("-")]
    return own.assign(at=own["row"].astype(int) - 1)


def test_every_value_of_timm_is_in_its_file_and_row(tables, published):
    own = rows_of(tables, "timm")
    assert len(own) == 14_004
    for file, part in own.groupby("file"):
        raw = pd.read_csv(published / "external" / "timm" / file, thousands=",")
        there = raw.loc[part["at"]].reset_index(drop=True)
        assert (there["model"].to_numpy() == part["model"].to_numpy()).all()
        assert (there["img_size"].astype(str).to_numpy() == part["size"].to_numpy()).all()
        is_count = (part["measure"] == "parameters").to_numpy()
        expected = np.where(is_count, there["param_count"], there["top1"])
        np.testing.assert_array_equal(part["value"], expected)


def test_every_value_of_testbed_is_in_its_row(tables, published):
    raw = pd.read_csv(published / "external" / "imagenet-testbed.csv")
    own = rows_of(tables, "testbed")
    assert (raw["model"].to_numpy()[own["at"]] == own["model"].to_numpy()).all()
    short = own["measure"].str.removeprefix("top1_acc/")
    condition = short.str.replace(r"_(\d)$", r".\1", regex=True)
    in_memory = own[own["protocol"] == "in-memory"]
    columns = "imagenet-c." + condition[in_memory.index] + "_in-memory"
    cells = raw.to_numpy()[in_memory["at"], raw.columns.get_indexer(columns)]
    np.testing.assert_array_equal(in_memory["value"], cells.astype(float))
    on_disk = own[own["protocol"] == "on-disk"]
    assert len(on_disk) == 2 * 200
    for measure, part in on_disk.groupby("measure"):
        columns = [
            f"imagenet-c.{name.removeprefix('top1_acc/')[:-2]}.{name[-1]}_on-disk"
            for name in MEANS[str(measure)]
        ]
        means = raw.loc[part["at"], columns].mean(axis=1)
        np.testing.assert_allclose(part["value"], means, rtol=1e-12)
    named = {TOP1: "val", "top1_acc/imagenet-a": "imagenet-a", "top1_acc/greyscale": "greyscale"}
    for measure, column in named.items():
        part = own[own["measure"] == measure]
        np.testing.assert_array_equal(part["value"], raw[column].to_numpy()[part["at"]])
        assert len(part) == raw[column].notna().sum()


def test_every_value_of_quba_is_in_its_row(tables, published):
    raw = pd.read_csv(published / "external" / "quba_models_named.csv")
    raw["Parameters"] = raw["Parameters"].fillna(raw["Size"])
    own = rows_of(tables, "quba")
    assert (raw["quba_id"].to_numpy()[own["at"]] == own["model"].to_numpy()).all()
    columns = {
        TOP1: "Accuracy",
        "relative-acc/adversarial": "Adversarial Robustness",
        "relative-acc/imagenet-c/15": "Corruption Robustness",
        "relative-acc/ood": "OOD Robustness",
        "calibration-error": "Calibration Error",
        "class-balance": "Class Balance",
        "object-focus": "Object Focus",
        "shape-bias": "Shape Bias",
        "parameters": "Parameters",
    }
    assert set(own["measure"]) == {*columns}
    for measure, part in own.groupby("measure"):
        cells = raw[columns[str(measure)]].to_numpy()[part["at"]]
        factor = 100 if measure == TOP1 else 1
        np.testing.assert_allclose(part["value"], factor * cells, rtol=1e-14)


def test_every_value_of_corruptionbench_is_in_its_file_and_row(tables, published):
    accuracies = pd.read_csv(published / "external" / "corruptionbench_accuracy_corrected.csv")
    flips = pd.read_csv(published / "external" / "corruptionbench_imagenet_p.csv")
    accuracies["file"] = "summaryImageNet_" + accuracies["set"] + "_" + accuracies["model"] + ".csv"
    flips["file"] = "summaryImageNet_P_" + flips["model"] + ".csv"
    own = rows_of(tables, "corruptionbench")
    long = []
    for severity in range(1, 6):
        part = accuracies[["file", "corruption", f"s{severity}"]].set_axis(
            ["file", "of", "cell"], axis=1
        )
        part["at"] = part.groupby("file").cumcount()
        long.append(part.assign(measure="top1_acc/" + part["of"] + f"_{severity}"))
    for measure, column in (("flip-probability", "flip_prob"), ("top5-distance", "top5_distance")):
        part = flips[["file", "perturbation", column]].set_axis(["file", "of", "cell"], axis=1)
        part["at"] = part.groupby("file").cumcount()
        long.append(part.assign(measure=f"{measure}/" + part["of"]))
    joined = own.merge(pd.concat(long), on=["file", "at", "measure"])
    assert len(joined) == len(own) == 67 * 75 + 54 * 50 + 92 * 20
    np.testing.assert_array_equal(joined["value"], joined["cell"])


def test_every_value_of_openclip_is_in_its_row(tables, published):
    raw = pd.read_csv(published / "external" / "openclip_results.csv")
    own = rows_of(tables, "openclip")
    names = raw["name"] + "/" + raw["pretrained"]
    assert (names.to_numpy()[own["at"]] == own["model"].to_numpy()).all()
    for measure, column in {TOP1: "ImageNet 1k", "top1_acc/imagenet-a": "ImageNet-A"}.items():
        part = own[own["measure"] == measure]
        np.testing.assert_allclose(part["value"], 100 * raw[column].to_numpy()[part["at"]])


def test_probabilities_taken_for_logits(imported, published):
    raw = pd.read_csv(published / "external" / "quba_models_named.csv").set_index("quba_id")
    with_text = raw["Architecture"] == "Vision-language models"
    zero_shot = {*raw.index[with_text & (raw["source"] != "TIMM_MODELS")]}  # timm's are fine-tuned
    values, sentences = imported["quba"]
    there = pd.DataFrame(values).groupby("measure")["model"].apply(set)
    assert len(zero_shot) == 25
    doubtful = zero_shot | {"Hiera-T", "Hiera-S", "Hiera-B", "Hiera-B-Plus", "Hiera-L"}
    for measure in ("calibration-error", "class-balance"):
        assert {*raw.index} - there[measure] == doubtful
    # Of the attacks, those of the models that were shown other images are dropped, too.
    other_images = {*raw.index} - there["relative-acc/imagenet-c/15"]
    assert len(other_images) == 81
    assert {*raw.index} - there["relative-acc/adversarial"] == doubtful | other_images
    assert len(there["shape-bias"]) == 326
    kept = raw.loc[sorted(there["class-balance"])]
    assert kept["Class Balance"].max() < 0.86  # far from .88 to .94
    assert any("86 values" in sentence for sentence in sentences)


def test_testbed_s_corruptions(imported, published):
    raw = pd.read_csv(published / "external" / "imagenet-testbed.csv").set_index("model")
    values, sentences = imported["testbed"]
    kept = {
        (v.model, v.measure.removeprefix("top1_acc/")) for v in values if v.protocol == "in-memory"
    }
    zoom = raw["imagenet-c.zoom_blur.1_in-memory"].dropna()
    dropped = {model for model in zoom.index if (model, "zoom_blur_1") not in kept}
    drop = raw["val"] - zoom
    assert len(dropped) == 131
    assert drop[[*dropped]].max() < 0.3
    assert drop[[m for m in zoom.index if m not in dropped]].min() > 9
    assert ("resnet50", "elastic_transform_1") not in kept
    assert ("resnet18", "elastic_transform_1") in kept
    assert ("senet154", "gaussian_noise_1") not in kept
    assert ("senet154", "gaussian_noise_2") in kept
    everything = {
        (model, f"{name}_{severity}")
        for name in CORRUPTIONS[C]
        for severity in range(1, 6)
        if name != "glass_blur"
        for model in raw.index[raw[f"imagenet-c.{name}.{severity}_in-memory"].notna()]
    }
    assert len(everything - kept) == 581
    assert {name[-1] for _, name in everything - kept} == {"1"}
    flags = {v.flag for v in values if v.protocol == "on-disk"}
    assert len(flags) == 1
    assert "resized" in flags.pop()
    assert "19,000" in sentences[-1]


def test_files_that_were_resized_again_are_lower_than_the_study_s(tables):
    study, testbed = wide(tables, "study"), wide(tables, "testbed")
    pairs = {
        "tv_resnet50": "resnet50",
        "resnet50_trained_on_SIN": "resnet50_trained_on_SIN",
        "resnet50_augmix_180ep": "resnet50_augmix",
        "resnet50_deepaugment_augmix": "resnet50_deepaugment_augmix",
    }
    lower = [
        study.loc[(own, "224"), C15] - testbed.loc[(other, ""), C15] for own, other in pairs.items()
    ]
    assert 1.3 < min(lower) < max(lower) < 2.9


@pytest.fixture(scope="module")
def stored(published, tmp_path_factory):
    """Return a folder with CorruptionBenchCV's files as the publisher has them: divided."""
    folder = tmp_path_factory.mktemp("stored")
    table = pd.read_csv(published / "external" / "corruptionbench_accuracy_corrected.csv")
    for (name, model), part in table.groupby(["set", "model"]):
        raw = pd.DataFrame({"Corruption": part["corruption"].to_numpy()})
        for severity in range(1, 6):
            raw[f"Acc_s{severity}"] = part[f"s{severity}"].to_numpy() / severity
        for severity in range(1, 6):
            raw[f"ECE_s{severity}"] = 0.5
        raw.to_csv(folder / f"summaryImageNet_{name}_{model}.csv")
    flips = pd.read_csv(published / "external" / "corruptionbench_imagenet_p.csv")
    for model, part in flips.groupby("model"):
        raw = part[["perturbation", "flip_prob", "top5_distance"]].reset_index(drop=True)
        raw.columns = ["Corruption", "FP", "T5D"]
        raw.to_csv(folder / f"summaryImageNet_P_{model}.csv")
    return folder


def test_divided_accuracies_are_recognised_and_restored(stored, imported):
    values, sentences = READERS["corruptionbench"](stored)
    expected = {(v.model, v.measure): v for v in imported["corruptionbench"][0]}
    found = {(v.model, v.measure): v for v in values}
    assert {*found} == {*expected}
    for key, value in found.items():
        if "doubtful" in value.flag or "doubtful" in expected[key].flag:
            assert value.value == expected[key].value
        else:
            assert value == expected[key]
    assert "divided by the severity" in sentences[0]


def test_every_accuracy_is_a_whole_number_of_images(published):
    table = pd.read_csv(published / "external" / "corruptionbench_accuracy_corrected.csv")
    images = table[[f"s{k}" for k in range(1, 6)]].to_numpy() * 500
    assert images.size == 11_095
    assert np.abs(images - images.round()).max() < 1e-6


def test_networks_without_weights_are_left_out(imported):
    models = {value.model for value in imported["corruptionbench"][0]}
    assert not models & {"coatnet_3_224", "ghostnet_050", "maxvit_tiny_224", "tnt_b_patch16_224"}
    assert {"tnt_s_patch16_224", "ghostnet_100", "beit_base_patch16_224", "resnet50"} <= models
    assert len(models) == 105


@pytest.mark.parametrize(
    ("model", "mfr"),
    [("resnet18", 72.83), ("densenet121", 56.21), ("augmix_resnet50", 37.63)],
)
def test_mean_flip_rates(model, mfr, tables):
    frame = wide(tables, "corruptionbench")
    assert frame.loc[(model, "224"), "mfr"] == pytest.approx(mfr, abs=0.005)


def test_means_over_corruptions(tables):
    frame = wide(tables, "corruptionbench").droplevel("size")
    assert frame.loc["resnet50", C15] == pytest.approx(46.40, abs=0.005)
    assert frame.loc["resnet50", C_BAR] == pytest.approx(47.18, abs=0.005)
    assert frame.loc["augmix_resnet50", C15] == pytest.approx(48.07, abs=0.005)
    assert frame.loc["augmix_resnet50", C_BAR] == pytest.approx(46.30, abs=0.005)


def test_critical_band_channels_are_the_published_ones(tables, published):
    table = pd.read_csv(published / "external" / "critical_band_networks.csv")
    table = table.drop_duplicates("model").set_index("model")
    frame = wide(tables, "critical_band").droplevel("size")
    assert len(frame) == 83
    fitted = frame.dropna(subset="critical-band/bandwidth")
    assert len(fitted) == 72
    columns = {"bandwidth": "BW", "centre": "CF", "peak-sensitivity": "PNS"}
    for measure, column in columns.items():
        expected = table.loc[fitted.index, column]
        np.testing.assert_allclose(fitted[f"critical-band/{measure}"], expected, rtol=2e-4)
    unfitted = table.loc[table.index.difference(fitted.index)]
    assert unfitted["BW"].min() > 7
    assert table.loc[fitted.index, "BW"].max() < 7


def test_the_channels_follow_from_the_trials(fixtures, tables, tmp_path):
    networks = fixtures / "critical-band" / "networks"
    for path in networks.glob("*.json"):
        shutil.copy(path, tmp_path)
    (tmp_path / "sb_scores.json").write_text(json.dumps({}))
    values, _ = READERS["critical_band"](tmp_path)
    joint = wide(tables, "critical_band").droplevel("size")
    assert len({value.model for value in values}) > 35
    for value in values:
        near = joint.loc[value.model, value.measure]
        assert value.value == pytest.approx(near, abs=0.006 if "clean" in value.measure else 1e-9)


def test_shape_biases_follow_from_the_decisions(published, tables, tmp_path):
    shutil.copytree(published / "vlm_shapebias", tmp_path / "raw-data")
    values, _ = READERS["vlm_shapebias"](tmp_path)
    joint = wide(tables, "vlm_shapebias").droplevel("size")
    assert len({value.model for value in values}) == 13
    for value in values:
        assert value.value == joint.loc[value.model, value.measure]
        assert value.n == 1200
    assert joint.loc["inet_classifier/tv_resnet50.csv", "shape-bias"] == 180 / (180 + 628)
    assert joint.loc["clip/clip_RN50_openai_None.csv", "shape-bias"] == 184 / (184 + 750)


def test_shape_biases_of_geirhos_2019(tables):
    frame = wide(tables, "texture_vs_shape").droplevel("size")
    shown = {"alexnet": 0.2531, "vgg16": 0.0921, "resnet50": 0.2207}
    for network, bias in shown.items():
        assert round(frame.loc[network, "shape-bias"], 4) == bias
    stylized = frame.index.str.contains("train_60_epochs")
    biases = frame["shape-bias"].dropna()
    assert biases[stylized[frame["shape-bias"].notna()]].min() > 0.6
    assert biases[~stylized[frame["shape-bias"].notna()]].max() < 0.35


def test_configural_shape_scores(tables):
    frame = wide(tables, "css").droplevel("size")
    assert frame.loc["resnet50_in1k", ["css/72", "css/1440"]].tolist() == [0.1667, 0.2306]
    assert frame.loc["human", "css/72"] == pytest.approx(0.896, abs=5e-4)
    assert len(frame) == 87


def test_the_study_s_faults_are_corrected_or_flagged(tables, published):
    raw = pd.read_csv(published / "benchmark.csv").set_index("model")
    own = tables[tables["source"] == "study"]
    real = own[own["measure"] == "top1_acc/imagenet-real"]
    assert len(real) == 69
    assert real["flag"].str.contains("326").all()
    images = real["value"] * 3.26
    np.testing.assert_allclose(images, images.round(), atol=1e-9)
    attacked = own[own["measure"] == "top1_acc/PGD-40/low"].set_index("model")
    robust = raw.loc[attacked.index, "top1_acc/PGD-40/low"] / 100 * 50_048 - 48
    np.testing.assert_array_equal(attacked["value"], robust.round() * 100 / 50_000)
    assert attacked["flag"].str.startswith("corrected").all()
    clean = own[own["measure"] == TOP1].set_index("model")["value"]
    np.testing.assert_array_equal(clean, raw.loc[clean.index, TOP1])


def test_robustbench_agrees_with_the_study(tables):
    frame, study = wide(tables, ABSENT).droplevel("size"), wide(tables, "study").droplevel("size")
    names = {
        "Standard_R50": "tv_resnet50",
        "Geirhos2018_SIN": "resnet50_trained_on_SIN",
        "Geirhos2018_SIN_IN": "resnet50_trained_on_SIN_and_IN",
        "Geirhos2018_SIN_IN_IN": "resnet50_trained_on_SIN_and_IN_then_finetuned_on_IN",
        "Hendrycks2020AugMix": "resnet50_augmix_180ep",
        "Hendrycks2020Many": "resnet50_deepaugment",
    }
    for name, own in names.items():
        assert abs(frame.loc[name, C15] - study.loc[own, C15]) < 0.4, name
    assert frame.loc["Salman2020Do_R50", "top1_acc/autoattack-linf-4"] == 34.96
    assert frame.loc["Xu2024MIMIR_Swin-L", [TOP1, "top1_acc/autoattack-linf-4"]].tolist() == [
        78.62,
        59.68,
    ]
    assert frame["top1_acc/autoattack-linf-4"].notna().sum() == 30
    assert frame[C15].notna().sum() == 12
