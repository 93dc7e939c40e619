"""Tables of any observers: who they are, what they got right, and that no two are pooled."""

import numpy as np
import pandas as pd
import pytest

from bvg.errors import UserError
from bvg.scores.decision_table import COLUMNS
from bvg.scores.decisions import (
    agreement,
    choices,
    confusions,
    decision_metrics,
    matrix_of,
    members,
    rights_of,
    shape_and_edges,
    summary,
)
from bvg.scores.error_consistency import error_consistency
from bvg.scores.observers import Source, read_observers, source_of

CUES = ("cat1-dog1", "cat2-bear1", "dog1-cat1", "dog2-dog1")


def write(path, subject, answers, images=CUES, condition="0", rt="NaN", session=1):
    """Write a decision table of these answers to these images, <category><n>…."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(COLUMNS)]
    for trial, (image, answer) in enumerate(zip(images, answers, strict=True), start=1):
        category = image.partition("-")[0].rstrip("0123456789")
        name = f"{trial:04d}_s5n_dnn_0_{category}_00_{image}.png"
        lines.append(f"{subject},{session},{trial},{rt},{answer},{category},{condition},{name}")
    path.write_text("\n".join(lines) + "\n")
    return path


def read(*folders):
    return read_observers([source_of(str(folder)) for folder in folders])


def test_the_three_formats_are_one_table(tmp_path):
    style = "style-transfer-512-nomask-experiment"
    torch = tmp_path / f"{style}-trained-CNNs"
    write(torch / f"{style}_alexnet_session-1.csv", "alexnet", ("cat", "bear", "na", "dog"))
    write(tmp_path / style / f"{style}_alexnet_session_1.csv", "alexnet", ("dog",) * 4)
    people = tmp_path / "cue-conflict" / "cue-conflict_subject-01_session_1.csv"
    write(people, "Subject_1", ("cat", "cat", "dog", "dog"), rt="0.5")
    (tmp_path / "clip").mkdir()
    rows = "".join(f"{image},it is a cat,cat\n" for image in CUES)
    (tmp_path / "clip" / "RN50.csv").write_text(f"image,response,pred_label\n{rows}")
    trials = read(tmp_path)
    assert {*trials["observer"]} == {"alexnet", "alexnet (caffe)", "humans", "RN50"}
    assert {*trials["data_set"]} == {"cue-conflict"}
    assert {*trials[trials["observer"] == "humans"]["member"]} == {"subject-01"}
    values = {
        name: decision_metrics(part)["shape-bias"].value
        for name, part in trials.groupby("observer")
    }
    assert values == {"alexnet": 0.5, "alexnet (caffe)": 0.5, "humans": 1.0, "RN50": 2 / 3}
    metrics = decision_metrics(trials[trials["observer"] == "humans"])
    assert metrics["response-time/cue-conflict"].value == 500
    assert metrics["missed/cue-conflict"].value == 0
    metrics = decision_metrics(trials[trials["observer"] == "alexnet"])
    assert metrics["shape-bias/texture/dog"].value == 1.0
    assert metrics["shape-bias/category/cat"].value == 0.5
    assert metrics["fraction-neither"].value == pytest.approx(1 / 3)
    assert "response-time/cue-conflict" not in metrics


def test_only_responses_are_accepted_as_well(tmp_path):
    (tmp_path / "net.csv").write_text("image,response\ncat1-dog1.png,Cat\ndog1-cat1,\n")
    trials = read(tmp_path)
    assert trials["object_response"].tolist() == ["cat", "na"]


def test_namesakes_in_two_sources(tmp_path):
    for folder in ("a", "b"):
        write(tmp_path / folder / "edge" / "edge_net_session-1.csv", "net", ("cat",), ("cat1",))
    assert len(read(tmp_path / "a", tmp_path / "b")) == 1  # a copy
    write(tmp_path / "b" / "edge" / "edge_net_session-1.csv", "net", ("dog",), ("cat1",))
    with pytest.raises(UserError, match="LABEL=FOLDER"):
        read(tmp_path / "a", tmp_path / "b")
    with pytest.raises(UserError, match="LABEL=FOLDER"):
        read(tmp_path)
    trials = read_observers([source_of(f"first={tmp_path / 'a'}"), Source(tmp_path / "b")])
    assert [*trials["observer"]] == ["net (first)", "net"]
    # Also with nothing in common, which no comparison of their answers can tell.
    (tmp_path / "b" / "edge" / "edge_net_session-1.csv").unlink()
    write(tmp_path / "b" / "sketch" / "sketch_net_session-1.csv", "net", ("dog",), ("cat1",))
    with pytest.raises(UserError, match="LABEL=FOLDER"):
        read(tmp_path / "a", tmp_path / "b")
    assert {*read(tmp_path)["data_set"]} == {"edge", "sketch"}


def test_one_network_of_two_files_has_sessions(tmp_path):
    write(tmp_path / "edge" / "edge_net_session-1.csv", "net", ("cat",), ("cat1",))
    other = write(tmp_path / "edge" / "edge_net_session-2.csv", "net", ("dog",), ("cat1",))
    with pytest.raises(UserError, match="number its sessions"):
        read(tmp_path)
    write(other, "net", ("dog",), ("cat1",), session=2)
    assert decision_metrics(read(tmp_path))["top1_acc/edge"].value == 50


def test_frequencies_in_conflict_are_no_shape_bias(tmp_path):
    name = "frequency-cue-conflict"
    write(tmp_path / name / f"{name}_net_session-1.csv", "net", ("cat", "bear", "na", "dog"))
    metrics = decision_metrics(read(tmp_path))
    assert metrics[f"{name}/low-frequency-bias"].value == 0.5
    assert not [key for key in metrics if key.startswith("shape-bias")]


def test_people_who_were_told_what_to_answer_are_observers_of_their_own(tmp_path):
    for kind in ("", "-content-guessing", "-texture-guessing"):
        style = f"style-transfer-512-nomask{kind}-experiment"
        path = tmp_path / style / f"{style}_subject-01_session_1.csv"
        write(path, "subject-01", ("cat",) * 4)
    assert sorted({*read(tmp_path)["observer"]}) == [
        "humans",
        "humans told to answer the shape",
        "humans told to answer the texture",
    ]


def _rows(**columns):
    """Return the cells of a person's table of CUES, header first."""
    rows = [COLUMNS]
    for trial, image in enumerate(CUES, start=1):
        category = image.partition("-")[0].rstrip("0123456789")
        values = {"subj": "subject-01", "session": "1", "trial": str(trial), "rt": "0.5"}
        values |= {"object_response": category, "category": category, "condition": "0"}
        values["imagename"] = f"{trial:04d}_s5n_s01_0_{category}_00_{image}.png"
        rows.append([(values | columns)[name] for name in COLUMNS])
    return rows


def _of(folder, rows, separator=",", end="\n", name="cue-conflict_subject-01_session_1.csv"):
    path = folder / "cue-conflict" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join(separator.join(row) for row in rows).encode("utf-8-sig"))
    return decision_metrics(read(folder))


def test_what_spreadsheets_and_web_experiments_write_is_the_same_table(tmp_path):
    plain = _of(tmp_path / "plain", _rows())
    assert plain["response-time/cue-conflict"].value == 500
    quoted = [[f'"{cell}"' for cell in row] for row in _rows(rt="0,5")]
    tables = {
        "excel": (_rows(rt="0,5"), ";", "\r\n"),
        "sep": ([["sep=;"], *_rows()], ";", "\r\n"),
        "quoted": (quoted, ",", "\n"),
        "twice": (_rows() + _rows()[1:], ",", "\n"),
        "session": (_rows(session="Session-1"), "\t", "\n"),
        "no session": (_rows(session=""), ",", "\n"),
    }
    for name, (rows, separator, end) in tables.items():
        assert _of(tmp_path / name, rows, separator, end) == plain, name
    # A session of another spelling is the same session.
    _of(tmp_path / "both", _rows(session="1.0"), name="cue-conflict_subject-01_session_2.csv")
    assert _of(tmp_path / "both", _rows()) == plain


@pytest.mark.parametrize(
    ("rt", "reason"), [("812", "milliseconds"), ("-1", "seconds"), ("fast", "seconds")]
)
def test_times_that_are_not_seconds_are_refused(tmp_path, rt, reason):
    with pytest.raises(UserError, match=reason):
        _of(tmp_path, _rows(rt=rt))


def test_milliseconds_of_one_of_two_subjects_are_refused(tmp_path):
    few = _rows(subj="subject-02", rt="812")[1:3]
    with pytest.raises(UserError, match="of subject-02"):
        _of(tmp_path, _rows() + few)


def test_an_image_twice_in_a_session_is_refused(tmp_path):
    again = [[*row[:2], "9", row[3], "oven", *row[5:]] for row in _rows()[1:2]]
    with pytest.raises(UserError, match="cat1-dog1"):
        _of(tmp_path, _rows() + again)


def test_cue_conflicts_in_a_folder_of_any_name(tmp_path):
    """The tables of the reproduction: the trial as condition, and 0 as response time."""
    rows = [",".join(COLUMNS)]
    for trial, image in enumerate(CUES, start=1):
        shape = image.partition("-")[0].rstrip("0123456789")
        rows.append(f"alexnet,1,{trial},0,cat,{shape},{trial},../stimuli/x-512/{shape}/{image}.png")
    folder = tmp_path / "fig4results"
    folder.mkdir()
    (folder / "experiment_alexnet_session.csv").write_text("\n".join(rows))
    trials = read(tmp_path)
    assert {*trials["data_set"]} == {"cue-conflict"} and {*trials["condition"]} == {"0"}
    metrics = decision_metrics(trials)
    assert metrics["shape-bias"].value == pytest.approx(2 / 3)
    assert "response-time/cue-conflict" not in metrics


def test_shape_bias_and_edges_by_category(tmp_path):
    """Spearman's correlation by ranks, ties included; response times by condition."""
    categories = ("cat", "dog", "bear", "car")
    cues, said, edges, seen = [], [], [], []
    for place, category in enumerate(categories):
        for n in range(4):  # shape decisions: 0, 1, 2, 3 of 4
            cues.append(f"{category}{n}-oven{n}")
            said.append(category if n < place else "oven")
        for n, right in enumerate([True, place in (1, 3)]):  # 50, 100, 50, 100 %
            edges.append(f"{category}{n}")
            seen.append(category if right else "oven")
    write(tmp_path / "cue-conflict" / "cue-conflict_net_session-1.csv", "net", said, cues)
    write(tmp_path / "edge" / "edge_net_session-1.csv", "net", seen, edges)
    trials = read(tmp_path)
    table = shape_and_edges(trials)
    assert table.loc["bear"].tolist() == [0.5, 50]
    # Ranks 1, 2, 3, 4 and 1.5, 3.5, 1.5, 3.5.
    expected = np.corrcoef([1, 2, 3, 4], [1.5, 3.5, 1.5, 3.5])[0, 1]
    metric = decision_metrics(trials)["shape-bias/correlation/edge"]
    assert (metric.value, metric.n) == (pytest.approx(expected), 4)
    assert "shape-bias/correlation/edge" not in decision_metrics(
        trials[trials["data_set"] == "edge"]
    )


def test_response_times_by_condition(tmp_path):
    path = tmp_path / "contrast" / "contrast_subject-01_session_1.csv"
    path.parent.mkdir()
    rows = [",".join(COLUMNS)]
    for trial, (condition, rt) in enumerate([("c50", 0.4), ("c50", 0.6), ("c05", 0.9)], start=1):
        name = f"{trial:04d}_cop_s01_{condition}_cat_10_n0{trial}_1.png"
        rows.append(f"subject-01,1,{trial},{rt},cat,cat,{condition},{name}")
    path.write_text("\n".join(rows))
    metrics = decision_metrics(read(tmp_path))
    keys = ("contrast", "contrast/c50", "contrast/c05")
    assert [metrics[f"response-time/{key}"].value for key in keys] == [600, 500, 900]


@pytest.mark.parametrize(
    ("text", "needed"),
    [("image,label\ncat1-dog1,cat\n", "pred_label"), ("a,b\n1,2\n", "object_response")],
)
def test_unknown_formats_say_what_was_found_and_what_is_needed(tmp_path, text, needed):
    (tmp_path / "net.csv").write_text(text)
    with pytest.raises(UserError, match=needed) as error:
        read(tmp_path)
    assert text.splitlines()[0].replace(",", ", ") in str(error.value)
    with pytest.raises(UserError, match="LABEL=FOLDER"):
        source_of(str(tmp_path / "absent"))


def test_our_own_other_files_are_no_tables(tmp_path):
    write(tmp_path / "edge" / "edge_net_session-1.csv", "net", ("cat",), ("cat1",))
    for name in ("human_comparison.csv", "edge/edge_subject-01_session_1_timing.csv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    assert len(read(tmp_path)) == 1


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """Return trials of two networks and three people on two data sets."""
    root, generator = tmp_path_factory.mktemp("noisy"), np.random.default_rng(0)
    images = [f"{category}{n}" for category in ("cat", "dog", "bear") for n in range(20)]
    right = [image.rstrip("0123456789") for image in images]
    for data_set in ("edge", "silhouette"):
        for name in ("one", "two", "subject-01", "subject-02", "subject-03"):
            said = [r if generator.random() < 0.6 else "oven" for r in right]
            path = root / data_set / f"{data_set}_{name}_session-1.csv"
            write(path, name, said, images)
    return read(root)


def _right(trials, observer, member, data_set="edge"):
    own = trials[
        (trials["observer"] == observer)
        & (trials["member"] == member)
        & (trials["data_set"] == data_set)
    ]
    return (own["object_response"] == own["category"]).to_numpy()


def test_agreement_is_that_of_every_pair(noisy):
    rights = rights_of(noisy)
    pairs = agreement(rights).set_index(["data_set", "observer", "other"])["value"]
    one, two = _right(noisy, "one", "session 1"), _right(noisy, "two", "session 1")
    assert pairs["edge", "one", "two"] == pytest.approx(error_consistency(one, two))
    people = [_right(noisy, "humans", f"subject-0{k}") for k in (1, 2, 3)]
    mean = np.mean([error_consistency(one, person) for person in people])
    assert pairs["edge", "one", "humans"] == pytest.approx(mean)
    own = [error_consistency(people[a], people[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert pairs["edge", "humans", "humans"] == pytest.approx(np.mean(own))
    matrix, shared = matrix_of(agreement(rights))
    assert shared == ["edge", "silhouette"]
    both = pairs["edge", "one", "two"], pairs["silhouette", "one", "two"]
    assert matrix.loc["two", "one"] == pytest.approx(np.mean(both))
    order = ["two", "humans", "one"]
    chosen = pd.concat([noisy[noisy["observer"] == name] for name in order])
    again, _ = matrix_of(agreement(rights_of(chosen)))
    assert [*again.index] == order
    pd.testing.assert_frame_equal(again.loc[matrix.index, matrix.columns], matrix)


def test_the_summary_is_model_vs_humans(noisy):
    rights = rights_of(noisy)
    table, shared = summary(rights, agreement(rights))
    assert shared == ["edge", "silhouette"]
    accuracies, differences, same = [], [], []
    for data_set in shared:
        one = _right(noisy, "one", "session 1", data_set)
        people = [_right(noisy, "humans", f"subject-0{k}", data_set) for k in (1, 2, 3)]
        accuracies.append(one.mean())
        differences.append(np.mean([(one.mean() - p.mean()) ** 2 for p in people]))
        same.append(np.mean([(one == p).mean() for p in people]))
    expected = [np.mean(accuracies), np.mean(differences), np.mean(same)]
    np.testing.assert_allclose(table.loc["one"].to_numpy()[:3], expected)
    networks = noisy[noisy["observer"] != "humans"]
    rights = rights_of(networks)
    assert summary(rights, agreement(rights))[1] == []


def test_chance_is_that_of_the_categories_that_were_shown(tmp_path, noisy):
    assert choices(noisy) == 16
    answers, images = ("fish", "na", "fish"), ("fish1", "reptile1", "insect1")
    write(tmp_path / "edge" / "edge_net_session-1.csv", "net", answers, images)
    assert choices(read(tmp_path)) == 3


def test_members_and_confusions_are_counted(noisy):
    each = members(noisy).set_index(["observer", "data_set", "member"])["accuracy"]
    expected = 100 * _right(noisy, "humans", "subject-02").mean()
    assert each["humans", "edge", "subject-02"] == pytest.approx(expected)
    counts = confusions(noisy)
    assert counts["n"].sum() == len(noisy)
    one = noisy[(noisy["observer"] == "one") & (noisy["data_set"] == "edge")]
    cats = one[one["category"] == "cat"]["object_response"].value_counts()
    row = counts[
        (counts["observer"] == "one")
        & (counts["data_set"] == "edge")
        & (counts["category"] == "cat")
    ].set_index("response")["n"]
    pd.testing.assert_series_equal(row.sort_index(), cats.sort_index(), check_names=False)


def test_people_agree_on_images_so_that_their_interval_is_wider(noisy):
    own = noisy[(noisy["observer"] == "humans") & (noisy["data_set"] == "edge")]
    alike = own.assign(
        object_response=np.tile(own["object_response"].to_numpy()[:60], 3),
    )
    metric = decision_metrics(alike)["top1_acc/edge"]
    single = decision_metrics(alike[alike["member"] == "subject-01"])["top1_acc/edge"]
    assert metric.value == single.value
    # The same answers three times are no more evidence than once.
    assert metric.high - metric.low == pytest.approx(single.high - single.low, rel=0.15)
