"""The figures of Geirhos et al. 2019 and the vision-language study, from their decision tables."""

import pandas as pd
import pytest

from bvg.errors import UserError
from bvg.scores.decisions import cue_decisions, decision_metrics, members, shape_bias
from bvg.scores.observers import read_observers, source_of

FIGURES = {"original": "original", "grayscale": "greyscale", "silhouette-filled": "silhouette"}
FIGURES |= {"edge": "edge", "texture": "texture", "style-transfer-512-nomask": "cue-conflict"}
# Not among the files: Caffe's cue-conflict decisions.
ABSENT = {"alexnet (caffe)", "googlenet (caffe)", "vgg (caffe)"}


@pytest.fixture(scope="module")
def trials(fixtures):
    folders = ("texture-vs-shape", "human/cue-conflict")
    return read_observers([source_of(str(fixtures / "published" / name)) for name in folders])


@pytest.fixture(scope="module")
def published(fixtures):
    path = fixtures / "published" / "external" / "figures_2019_values.csv"
    table = pd.read_csv(path, dtype={"condition_or_shape_category": str})
    names = table["observer"].str.replace(" (torchvision)", "").str.replace(" (pooled)", "")
    data_sets = table["experiment"].map(FIGURES)
    return table.assign(observer=names, data_set=data_sets)[data_sets.notna()]


def test_every_number_of_figure_2(trials, published):
    figure = published[published["figure"] == "2"]
    assert len(figure) == 5 + 5 + 10 + 10 + 5 + 3 * 5 + 2 * 5 + 1 + 5  # people, networks, pooled
    scores = {str(name): decision_metrics(part) for name, part in trials.groupby("observer")}
    each = members(trials).set_index(["observer", "data_set", "member"])
    for row in figure.itertuples():
        if row.observer.startswith("subject"):
            value, n = each.loc[("humans", row.data_set, row.observer), ["accuracy", "n"]]
        else:
            metric = scores[row.observer][f"top1_acc/{row.data_set}"]
            value, n = metric.value, metric.n
        # The figures have two decimals.
        assert (value, n) == (pytest.approx(row.value, abs=0.005 + 1e-9), row.n), row


def test_every_number_of_figures_4_and_5(trials, published):
    figure = published[(published["figure"] == "4/5") & ~published["observer"].isin(ABSENT)]
    assert figure["observer"].nunique() == 13 + 1
    checked = 0
    for observer, rows in figure.groupby("observer"):
        own = trials[(trials["observer"] == observer) & (trials["data_set"] == "cue-conflict")]
        for row in rows.itertuples():
            part = row.condition_or_shape_category
            chosen = own if part == "all" else own[own["category"] == part]
            counts = cue_decisions(chosen)
            assert getattr(counts, row.quantity.removesuffix("_decisions")) == row.value, row
            assert counts.total == row.n, row
            checked += 1
    assert checked == len(figure) == 14 * 17 * 2


def test_the_interval_of_people_is_over_images(trials):
    people = trials[(trials["observer"] == "humans") & (trials["data_set"] == "cue-conflict")]
    bias = shape_bias(people)
    assert (round(bias.value, 4), bias.n) == (0.9587, 12_000)
    # Wider than if the 9,634 decisions were independent, narrower than one person's.
    independent = cue_decisions(people).bias()
    person = shape_bias(people[people["member"] == "subject-01"])
    assert bias.high - bias.low > independent.high - independent.low
    assert bias.high - bias.low < person.high - person.low


def test_two_networks_of_one_name_are_never_pooled(trials, fixtures, tmp_path):
    assert {"alexnet", "alexnet (caffe)"} <= {*trials["observer"]}
    folder = fixtures / "published" / "texture-vs-shape" / "edge-experiment-trained-CNNs"
    vlm = fixtures / "published" / "vlm_shapebias" / "inet_classifier"
    with pytest.raises(UserError, match="LABEL=FOLDER"):
        read_observers([source_of(str(folder)), source_of(str(vlm))])
    both = read_observers([source_of(str(folder)), source_of(f"timm={vlm}")])
    assert {"resnet50", "resnet50 (timm)"} <= {*both["observer"]}


def test_the_vision_language_study(fixtures):
    trials = read_observers([source_of(str(fixtures / "published" / "vlm_shapebias"))])
    path = fixtures / "published" / "external" / "vlm_shapebias_recomputed.csv"
    rows = pd.read_csv(path).set_index("file")
    files = [*(fixtures / "published" / "vlm_shapebias").glob("*/*.csv")]
    assert len(files) == 13
    for file in files:
        row = rows.loc[f"{file.parent.name}/{file.name}"]
        own = trials[trials["observer"] == file.name.removesuffix(".csv")]
        counts = cue_decisions(own)
        assert len(own) == row["rows"]
        assert (counts.total, counts.shape, counts.texture) == (
            row["conflict"],
            row["shape"],
            row["texture"],
        )
        assert round(shape_bias(own).value, 4) == row["shape_bias"]
        assert round(1 - counts.neither / counts.total, 4) == row["either"]
        congruent = own[own["category"] == own["texture"]]
        right = int((congruent["object_response"] == congruent["category"]).sum())
        assert f"{right}/{len(congruent)}" == row["nonconflict_right"]
    metrics = decision_metrics(own)  # of the last
    assert round(metrics["shape-bias"].value, 4) == row["shape_bias"]
    assert round(1 - metrics["fraction-neither"].value, 4) == row["either"]
    assert metrics["top1_acc/cue-conflict/congruent"].n == len(congruent)
