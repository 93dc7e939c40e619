"""Each reader, on small files in the publisher's layout: values, where they are from, refusals."""

import json

import numpy as np
import pytest

from bvg.published import sources
from bvg.published.corruptionbench import _ALEXNET_FLIPS as ALEXNET_FLIPS
from bvg.published.reading import C15, MEANS, TOP1, NoFilesError, Value
from bvg.published.sources import READERS
from bvg.scores.imagenet_c import ALEXNET
from bvg.table.columns import CORRUPTIONS
from conftest import refusal
from published_helpers import (
    OPENCLIP_COLUMNS,
    QUBA,
    QUBA_ROWS,
    TIMM_COLUMNS,
    timm_row,
    write_csv,
    write_json,
    write_openclip,
    write_quba,
    write_timm,
)


def read(source, folder) -> dict[tuple[str, str], Value]:
    values, _ = READERS[source](folder)
    found = {(value.model, value.measure): value for value in values}
    assert len(found) == len(values)
    return found


@pytest.mark.parametrize("source", READERS)
def test_a_folder_without_the_files_is_said_to_be_one(source, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(NoFilesError) as caught:
        READERS[source](tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.fixture
def quba(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "QUBA_ROWS", tmp_path / "rows.csv")
    return lambda page=QUBA, rows=QUBA_ROWS: write_quba(tmp_path, page, rows)


def test_quba(quba):
    found = read("quba", quba())
    assert found["one", TOP1] == Value(
        "one", TOP1, 56.52, "index.html", "1", "size=own classes=1000", 50_000
    )
    assert found["one", "relative-acc/ood"].value == 1.0571
    assert found["one", "parameters"].value == 61.1
    assert found["two", "parameters"].value == 149.6
    assert found["two", "shape-bias"].row == "2"
    assert ("two", "calibration-error") not in found  # with class balance, a sign of probabilities


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('Model: "Twin",\n', 'Model: "Triplet",\n', "model 1"),
        ("Accuracy: 0.5652", "Accuracy: 0.5653", "0.5652"),
        ('"Shape Bias": 0.2636', '"Shape bias": 0.2636', "Shape bias"),
        ('"Shape Bias": 0.2636,', "", "Shape Bias"),
        ("Parameters: 61.1", "Params: 61.1", "Params"),
        ("Accuracy: 0.5652", 'Accuracy: "high"', "0.5652"),
        ('"Object Focus": 0.8', '"Object Focus": 80', "model 1"),
        ("sampleData = [", "sampleData = load([", "list"),
    ],
)
def test_quba_s_changes_are_refused(before, after, named, quba):
    folder = quba(QUBA.replace(before, after, 1))
    assert named in refusal(READERS["quba"], folder)


def test_quba_s_new_missing_and_reordered_rows_are_refused(quba):
    extra = QUBA_ROWS + "three,Third,0.8,TIMM,three\n"
    assert "2 models instead of 3" in refusal(READERS["quba"], quba(rows=extra))
    header, one, two = QUBA_ROWS.splitlines()
    swapped = "\n".join([header, two, one, ""])
    assert "model 1" in refusal(READERS["quba"], quba(rows=swapped))


def test_timm(tmp_path):
    rows = [
        timm_row("big.in1k", 448, 88.5, "1,014.45"),
        timm_row("a.in1k"),
        timm_row("a.in1k", 288),
    ]
    values, sentences = READERS["timm"](write_timm(tmp_path, rows))
    assert len(values) == 3 * 9
    assert sentences == []
    first = values[0]
    assert (first.model, first.measure, first.value, first.n) == ("big.in1k", TOP1, 88.5, 50_000)
    assert (first.file, first.row) == ("results-imagenet.csv", "1")
    assert first.protocol == "size=448 crop=0.95 interpolation=bicubic precision=amp classes=1000"
    assert values[1].value == 1014.45
    of_a = {value.measure: value for value in values if value.file == "results-imagenet-a.csv"}
    assert of_a["top1_acc/imagenet-a"].n == 7_500
    assert of_a["top1_acc/imagenet-a"].protocol.endswith("classes=200")


def test_timm_s_changes_are_refused(tmp_path):
    folder = write_timm(tmp_path, [timm_row("a.in1k"), timm_row("b.in1k")])
    path = folder / "results" / "results-imagenet.csv"
    write_csv(path, [*TIMM_COLUMNS[:-1], "interp"], [timm_row("a.in1k")])
    assert "interp" in refusal(READERS["timm"], folder)
    write_csv(path, TIMM_COLUMNS, [timm_row("a.in1k"), timm_row("a.in1k")])
    assert "a.in1k at 224" in refusal(READERS["timm"], folder)
    write_csv(path, TIMM_COLUMNS, [timm_row("a.in1k", top1=101.0)])
    assert "row 1" in refusal(READERS["timm"], folder)
    write_csv(path, TIMM_COLUMNS, [timm_row("a.in1k")])
    _, (sentence, *_) = READERS["timm"](folder)
    assert "adds b.in1k at 224" in sentence


def write_testbed(folder, models=("a", "b"), extra=()):
    columns = ["model", *sources._TESTBED, *sources._TESTBED_UNUSED]
    for corruption in CORRUPTIONS["top1_acc/imagenet-c"]:
        for severity in range(1, 6):
            columns.append(f"imagenet-c.{corruption}.{severity}_on-disk")
            if corruption != "glass_blur":
                columns.append(f"imagenet-c.{corruption}.{severity}_in-memory")
    cell = {"val": 76.0, "pgd.linf.eps2": ""}
    rows = [
        [model, *(cell.get(c, 40.0 if "on-disk" in c else 45.0) for c in columns[1:])]
        for model in models
    ]
    columns, rows = [*columns, *extra], [[*row, *(1.0 for _ in extra)] for row in rows]
    return write_csv(folder / "robustness_top1s.csv", columns, rows)


def test_testbed(tmp_path):
    write_testbed(tmp_path)
    found = read("testbed", tmp_path)
    assert found["b", TOP1] == Value(
        "b", TOP1, 76.0, "robustness_top1s.csv", "2", "size=own", 50_000
    )
    assert ("b", "top1_acc/pgd-linf-2") not in found
    assert found["a", "top1_acc/fog_3"].protocol == "in-memory"
    assert found["a", C15].value == 40.0
    assert found["a", C15].flag
    assert ("a", "top1_acc/glass_blur_3") not in found


def test_testbed_s_changes_are_refused(tmp_path):
    write_testbed(tmp_path, extra=("imagenet-d",))
    assert "imagenet-d" in refusal(READERS["testbed"], tmp_path)
    write_testbed(tmp_path, models=("a", "a"))
    assert "2 rows of a" in refusal(READERS["testbed"], tmp_path)


@pytest.mark.parametrize("pairs", [72, 1440])
def test_css(pairs, tmp_path):
    columns = ["model_name", "acc", "css", "css_err_low", "css_err_high", "target_foil_bias"]
    for count, score in ((72, 0.2), (1440, 0.3)):
        rows = [["human", 0.948, 0.896, 0, 0, 0.9], ["net", 2 * score, score, 0, 0, 0.9]]
        write_csv(tmp_path / f"doshi_css_pairs{count}.csv", columns, rows)
    found = read("css", tmp_path)
    value = found["net", f"css/{pairs}"]
    assert (value.value, value.n, value.row) == (0.2 if pairs == 72 else 0.3, pairs, "2")
    assert value.file == f"doshi_css_pairs{pairs}.csv"
    assert found["net", f"top1_acc/anagrams/{pairs}"].value == (40 if pairs == 72 else 60)


SUMMARY = [
    "",
    "Corruption",
    *(f"Acc_s{s}" for s in range(1, 6)),
    *(f"ECE_s{s}" for s in range(1, 6)),
]


def accuracies_of(model: str) -> np.ndarray:
    images = np.random.default_rng(len(model)).integers(5_000, 45_000, (len(ALEXNET), 5))
    return images * 100 / 50_000


def write_corruptions(folder, place: str, model: str, shift: int = 0, names=tuple(ALEXNET)):
    """Write a file as the publisher has it: accuracies divided by the severity."""
    stored = (accuracies_of(model) + shift) / np.arange(1, 6)
    rows = [
        [k, name, *row.tolist(), *[0.1] * 5]
        for k, (name, row) in enumerate(zip(names, stored, strict=True))
    ]
    return write_csv(folder / place / f"summaryImageNet_C_{model}.csv", SUMMARY, rows)


def write_flips(folder, model: str, scale: float):
    rows = [[k, name, scale * f / 100, 2.0] for k, (name, f) in enumerate(ALEXNET_FLIPS.items())]
    path = folder / "IN_P" / f"summaryImageNet_P_{model}.csv"
    return write_csv(path, ["", "Corruption", "FP", "T5D"], rows)


def test_corruptionbench(tmp_path):
    write_corruptions(tmp_path, "results", "resnet18")
    write_corruptions(tmp_path, "IN_C", "resnet18")  # the same again
    write_flips(tmp_path, "resnet18", 0.5)
    write_csv(tmp_path / "results" / "summaryImageNet_3DCC_resnet18.csv", ["x"], [[1]])
    found = read("corruptionbench", tmp_path)
    expected = accuracies_of("resnet18")
    for row, name in enumerate(ALEXNET):
        for severity in range(1, 6):
            value = found["resnet18", f"top1_acc/{name}_{severity}"]
            assert value.value == expected[row, severity - 1]
            assert (value.file, value.row) == ("summaryImageNet_C_resnet18.csv", str(row + 1))
            assert value.flag.startswith("corrected")
    assert found["resnet18", C15].value == pytest.approx(expected.mean(), abs=1e-12)
    assert found["resnet18", "flip-probability/tilt"].value == pytest.approx(0.5 * 0.0705)
    assert found["resnet18", "top5-distance/tilt"].value == 2.0
    assert found["resnet18", "mfr"].value == pytest.approx(50)
    assert not [measure for _, measure in found if "ECE" in measure or "calibration" in measure]


def test_of_two_different_files_of_a_network_one_is_imported_and_flagged(tmp_path):
    write_corruptions(tmp_path, "results", "resnet18")
    write_corruptions(tmp_path, "IN_C", "resnet18", shift=2)
    values, sentences = READERS["corruptionbench"](tmp_path)
    assert {value.flag for value in values} == {
        "doubtful: the publisher has two files of this network, which differ"
    }
    assert values[0].value == pytest.approx(accuracies_of("resnet18")[0, 0] + 2)
    assert "resnet18 on C" in sentences[-1]


def test_corruptionbench_s_changes_are_refused(tmp_path):
    names = [*ALEXNET][:-1]
    write_corruptions(tmp_path, "results", "a", names=(*names, "hail"))
    assert "hail" in refusal(READERS["corruptionbench"], tmp_path)
    write_corruptions(tmp_path, "results", "a", names=(*names, names[0]))
    assert f"2 rows of {names[0]}" in refusal(READERS["corruptionbench"], tmp_path)
    path = write_corruptions(tmp_path, "results", "a")
    path.write_text(path.read_text().replace("Acc_s3", "Acc_3"))
    assert "Acc_3" in refusal(READERS["corruptionbench"], tmp_path)


NOISES, BANDS = ("0", "0.02", "0.04", "0.08", "0.16"), range(7)
STEPS = (0, 1, 2, 3, 3, 2, 1)  # the thresholds: 0 passes all noise, 4 none


def write_network(folder, model: str, steps=STEPS):
    trials = {
        f"noise{noise}freq{band}": [1, 1, 1, 0] if k <= 4 - steps[band] else [1, 0, 0, 0]
        for k, noise in enumerate(NOISES)
        for band in BANDS
    }
    write_json(folder / "sb_scores.json", {"net": [0.5, 0.25]})
    return write_json(folder / f"solomon_{model}_accuracies_2023-04-10T18:51:32.json", trials)


def test_critical_band(tmp_path):
    write_network(tmp_path, "net")
    write_network(tmp_path, "flat", (4,) * 7)
    found = read("critical_band", tmp_path)
    assert found["net", "top1_acc/critical-band/clean"].value == 75
    assert found["net", "top1_acc/critical-band/clean"].n == 5 * 7 * 4
    assert found["net", "fraction-correct-shape"].value == 0.375
    assert 3 < found["net", "critical-band/bandwidth"].value < 6
    assert ("flat", "critical-band/bandwidth") not in found
    assert ("flat", "fraction-correct-shape") not in found


def test_critical_band_s_changes_are_refused(tmp_path):
    path = write_network(tmp_path, "net")
    trials = json.loads(path.read_text())
    write_json(path, {**trials, "noise0.32freq0": [1]})
    assert path.name in refusal(READERS["critical_band"], tmp_path)


def entry(**other) -> dict[str, object]:
    return {"dataset": "imagenet", "eps": "4/255", "clean_acc": "64.02", **other}


def write_robustbench(folder, attacked=None, corrupted=None):
    place = folder / "model_info" / "imagenet"
    write_json(place / "Linf" / "A_R50.json", entry(autoattack_acc="34.96") | (attacked or {}))
    both = {"corruptions_acc": "39.48", "corruptions_acc_3d": "47.12", "eps": 0.0314}
    write_json(place / "corruptions" / "B_R50.json", entry(**both) | (corrupted or {}))
    write_json(folder / "model_info" / "cifar10" / "Linf" / "C.json", {})
    return folder


def test_robustbench(tmp_path):
    found = read("robustbench", write_robustbench(tmp_path))
    value = found["A_R50", "top1_acc/autoattack-linf-4"]
    assert (value.value, value.n, value.flag) == (34.96, 5000, "")
    assert (value.file, value.row) == ("model_info/imagenet/Linf/A_R50.json", "autoattack_acc")
    assert found["B_R50", C15].value == 39.48
    assert {model for model, _ in found} == {"A_R50", "B_R50"}


def test_robustbench_s_adaptive_attacks_and_changes(tmp_path):
    found = read("robustbench", write_robustbench(tmp_path, attacked={"external": "30.1"}))
    assert "30.1" in found["A_R50", "top1_acc/autoattack-linf-4"].flag
    for change, named in (
        ({"dataset": "cifar10"}, "cifar10"),
        ({"eps": "8/255"}, "8/255"),
        ({"autoattack_acc": None}, "autoattack_acc"),
        ({"autoattack_acc": "349.6"}, "autoattack_acc"),
    ):
        assert named in refusal(READERS["robustbench"], write_robustbench(tmp_path, change))
    both = tmp_path / "model_info" / "imagenet" / "Linf" / "B_R50.json"
    write_robustbench(tmp_path)
    write_json(both, entry(autoattack_acc="0.0", clean_acc="76.5"))
    assert read("robustbench", tmp_path)["B_R50", TOP1].value == 76.5  # and not both


def test_openclip(tmp_path):
    found = read("openclip", write_openclip(tmp_path, ["ViT-B-32/openai", "ViT-B-32/laion2b"]))
    value = found["ViT-B-32/laion2b", "top1_acc/imagenet-r"]
    assert (value.value, value.row, value.n) == (51.0, "2", 30_000)
    assert found["ViT-B-32/openai", "parameters"].value == 149.62
    path = tmp_path / "docs" / "openclip_results.csv"
    write_csv(path, [*OPENCLIP_COLUMNS, "ImageNet-D"], [["a", "b", *[0.1] * 42]])
    assert "ImageNet-D" in refusal(READERS["openclip"], tmp_path)


def test_ood_benchmarks_from_arrays(tmp_path):
    np.savez(tmp_path / "imaageneta_net.npz", acc=0.25, cal_err=0.1, aur=0.2)
    np.savez(tmp_path / "shapebias_net.npz", frac_correct=0.6, frac_shape=0.3, frac_texture=0.7)
    np.save(tmp_path / "sketch_net.npy", 22.5)
    np.save(tmp_path / "whitebox_10_0.06_net.npy", 1.5)
    found = read("ood_benchmarks", tmp_path)
    assert {measure: value.value for (_, measure), value in found.items()} == {
        "top1_acc/imagenet-a": 25.0,
        "top1_acc/imagenet-sketch": 22.5,
        "shape-bias": 0.3,
        "top1_acc/targeted-pgd-linf-0.06": 1.5,
    }
    np.savez(tmp_path / "imaageneta_net.npz", accuracy=0.25)
    assert "imaageneta_net.npz" in refusal(READERS["ood_benchmarks"], tmp_path)


DECISIONS = [
    "subj",
    "session",
    "trial",
    "rt",
    "object_response",
    "category",
    "condition",
    "imagename",
]


def write_decisions(folder, experiment: str, network: str, rows, ending: str = "-trained-CNNs"):
    name = f"{experiment}-experiment_{network}_session-1.csv"
    made = [
        [network, 1, k, "NaN", answer, shape, 0, f"{k:04d}_x_dnn_0_{shape}_00_{image}.png"]
        for k, (answer, shape, image) in enumerate(rows)
    ]
    return write_csv(folder / f"{experiment}-experiment{ending}" / name, DECISIONS, made)


def test_texture_vs_shape(tmp_path):
    conflict = [
        ("cat", "cat", "cat1-dog2"),
        ("dog", "cat", "cat1-dog3"),
        ("dog", "cat", "cat2-dog3"),
        ("car", "cat", "cat3-dog1"),
        ("cat", "cat", "cat3-cat1"),  # no conflict
    ]
    write_decisions(tmp_path, "style-transfer-512-nomask", "alexnet", conflict)
    edges = [("cat", "cat", "cat1"), ("dog", "cat", "cat2")]
    write_decisions(tmp_path, "edge", "alexnet", edges, ending="")
    write_decisions(tmp_path, "edge", "subject-01", edges, ending="")
    write_decisions(tmp_path, "noise", "alexnet", edges)
    found = read("texture_vs_shape", tmp_path)
    assert {key: value.value for key, value in found.items()} == {
        ("alexnet", "shape-bias"): 1 / 3,
        ("alexnet", "fraction-correct-shape"): 0.25,
        ("alexnet", "fraction-correct-texture"): 0.5,
        ("alexnet (caffe)", "top1_acc/texture-vs-shape/edge"): 50.0,
    }
    assert found["alexnet", "shape-bias"].n == 4
    write_decisions(tmp_path, "style-transfer-512-nomask", "vgg16", [("car", "cat", "cat1-dog2")])
    assert "vgg16" in refusal(READERS["texture_vs_shape"], tmp_path)


def test_vlm_shapebias_from_decisions(tmp_path):
    rows = [["cat1-dog2", "x", "cat"], ["cat1-dog3", "x", "dog"], ["cat1-cat2", "x", "cat"]]
    columns = ["image", "response", "pred_label"]
    write_csv(tmp_path / "raw-data" / "clip" / "RN50_CLS.csv", columns, rows)
    write_csv(tmp_path / "raw-data" / "vlm" / "vqa" / "llava.csv", columns, rows[:1])
    write_csv(tmp_path / "raw-data" / "vlm" / "token_analysis" / "llava.csv", ["token"], [["a"]])
    found = read("vlm_shapebias", tmp_path)
    assert found["clip/RN50_CLS.csv", "shape-bias"].value == 0.5
    assert found["clip/RN50_CLS.csv", "shape-bias"].n == 2
    assert found["vlm/vqa/llava.csv", "shape-bias"].protocol.endswith("text")
    path = tmp_path / "raw-data" / "clip" / "RN50_CLS.csv"
    write_csv(path, ["image", "label"], [["cat1-dog2", "cat"]])
    assert "pred_label" in refusal(READERS["vlm_shapebias"], tmp_path)
    write_csv(path, columns, [["cat.png", "x", "cat"]])
    assert str(path) in refusal(READERS["vlm_shapebias"], tmp_path)


def test_any_other_table_is_not_the_study_s(tmp_path):
    path = tmp_path / "benchmark.csv"
    path.write_text("model,top1_acc/imagenet,shape-bias\na,70.0,0.2\n")
    assert "study" in refusal(READERS["study"], tmp_path)


def test_the_means_are_of_all_their_conditions():
    assert {name: len(of) for name, of in MEANS.items()} == {
        "top1_acc/imagenet-c": 95,
        "top1_acc/imagenet-c/15": 75,
        "top1_acc/imagenet-cbar": 50,
    }
