import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bvg.analysis.standing import against, own_results, standing, view_of
from bvg.published.names import with_names
from bvg.published.tables import TABLES, read_published
from conftest import refusal
from standing_helpers import (
    OWN_WORDS,
    READY_VIEW,
    STUDY_WORDS,
    own_table,
    published_rows,
    result,
)

TOP1 = "top1_acc/imagenet"
NATIVE_VIEW = {"resize": 288, "crop": 288, "interpolation": "bicubic", "keep_ready": False}


def own(folder, value=75.0, column=TOP1, model="mine", intervals="", **how):
    """Return the own results of a table of one value."""
    table = own_table(folder, {model: {column: value}}, [result(model, **how)], intervals)
    return own_results(table, {column})[0]


def reason(folder, *rows, measure=TOP1, n=50_000, **how) -> str:
    """Return why one's own value has no place among published ones."""
    cells = own(folder, **how)
    (row,) = standing(cells, published_rows(*rows, measure=measure, n=n)).to_dict("records")
    assert (row["reason"] == "") == (row["of"] > 0)
    return row["reason"]


def test_rank_percentile_and_neighbours_are_those_of_pandas_and_scipy(tmp_path):
    generator = np.random.default_rng(0)
    values = np.round(generator.uniform(60, 90, 200), 1)  # with ties
    rows = published_rows(*((f"model_{k}", value) for k, value in enumerate(values)))
    names = [f"own_{k}" for k in range(20)]
    mine = dict(zip(names, np.round(generator.uniform(55, 95, 20), 1), strict=True))
    table = own_table(
        tmp_path, {name: {TOP1: v} for name, v in mine.items()}, [result(name) for name in names]
    )
    places = standing(own_results(table, {TOP1})[0], rows).set_index("model")
    assert [*places.index] == names
    for name, value in mine.items():
        row = places.loc[name]
        every = pd.concat([rows["value"], pd.Series([value])], ignore_index=True)
        assert row["rank"] == every.rank(ascending=False, method="min").iloc[-1]
        assert row["of"] == 200
        expected = stats.percentileofscore(rows["value"], value, kind="mean")
        assert row["percentile"] == pytest.approx(expected)
        distances = rows.assign(distance=(rows["value"] - value).abs()).sort_values(
            "distance", kind="stable"
        )
        assert row["nearest"] == ", ".join(distances["model"][:3])


def test_a_model_is_not_compared_with_itself_and_others_count_once(tmp_path):
    rows = published_rows(
        ("resnet50.tv_in1k", 76.1), ("a", 70.0), ("a", 90.0), ("b", 80.0), ("b", 81.0)
    )
    cells = own(tmp_path, 76.146, model="tv_resnet50")
    assert [*cells["name"]] == ["resnet50.tv_in1k"]
    (place,) = standing(cells, rows).to_dict("records")
    assert (place["rank"], place["of"], place["percentile"]) == (2, 2, 50)
    assert place["nearest"] == "b, a"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("size=288 crop=0.875 interpolation=bilinear", "288 of 329 px"),
        ("size=224 crop=0.95 interpolation=bilinear", "224 of 235 px"),
        ("size=224 crop=0.875 interpolation=bicubic", "bicubic"),
        ("size=224 crop=0.875 interpolation=bilinear classes=200", "200 classes"),
        ("size=224 crop=0.875", "does not state interpolation"),
        ("interpolation=bilinear", "does not state size and crop"),
        ("size=224 crop=squash interpolation=bilinear", "evaluates otherwise (crop=squash)"),
        (f"{STUDY_WORDS} zero-shot", "evaluates otherwise (zero-shot)"),
        ("size=own classes=1000", "its own preprocessing"),
    ],
)
def test_another_or_unknown_protocol_has_no_place_and_says_why(words, part, tmp_path):
    assert part in reason(tmp_path, ("a", 70.0, words), ("b", 80.0, words))


def test_precision_is_no_other_protocol(tmp_path):
    words = STUDY_WORDS.replace("amp", "fp32")
    assert reason(tmp_path, ("a", 70.0, words)) == ""


def test_only_results_of_the_same_protocol_are_counted(tmp_path):
    rows = published_rows(
        ("a", 70.0), ("b", 72.0, OWN_WORDS), ("c", 80.0), ("d", 90.0, f"{STUDY_WORDS} zero-shot")
    )
    (place,) = standing(own(tmp_path), rows).to_dict("records")
    assert (place["rank"], place["of"], place["nearest"]) == (2, 2, "a, c")


def test_ones_own_preprocessing_is_compared_with_each_models_own(tmp_path):
    rows = (("a", 70.0), ("b", 72.0, "size=384 crop=1 interpolation=bicubic"), ("c", 80.0))
    cells = own(tmp_path / "native", view=NATIVE_VIEW)
    (place,) = standing(cells, published_rows(*rows)).to_dict("records")
    assert (place["rank"], place["of"]) == (2, 3)
    alike = published_rows(("a", 70.0), ("c", 80.0))  # a source that shows all models the same
    (place,) = standing(cells, alike).to_dict("records")
    assert "288 of 288 px, bicubic" in place["reason"]
    for words in ("size=own", "size=own classes=1000"):
        own_sizes = published_rows(("a", 70.0, words), ("b", 90.0, words))
        (place,) = standing(cells, own_sizes).to_dict("records")
        assert (place["rank"], place["of"]) == (2, 2)


def test_the_studys_view_is_a_models_own_where_a_source_says_so(tmp_path):
    rows = published_rows(("resnet50.tv_in1k", 76.2), ("b", 80.0, OWN_WORDS), ("c", 70.0))
    cells = own(tmp_path, 76.1, model="tv_resnet50")
    (place,) = standing(cells, rows).to_dict("records")
    assert (place["rank"], place["of"]) == (2, 2)
    (place,) = standing(own(tmp_path / "other", 76.1), rows).to_dict("records")
    assert (place["rank"], place["of"]) == (2, 2)  # those of the same view, the first among them
    assert place["nearest"] == "resnet50.tv_in1k, c"


def test_images_that_are_ready_are_compared_with_those_not_resized(tmp_path):
    how = {"column": "shape-bias", "value": 0.3, "benchmark": "imagenet_shape_bias"}
    words = "cue-conflict size=224 crop=1 classes=16"
    at = {"measure": "shape-bias", "n": 1200}
    mine = {**how, "view": READY_VIEW}
    assert reason(tmp_path / "a", ("a", 0.2, words), **at, **mine) == ""
    for name, missing, said in (
        ("p", {"partial": {"images": 160}}, "only 50,000 of the images"),
        ("q", {"partial": {"cue-conflict": {}}, "data_sets": {}}, "only 50,000 of the images"),
        ("r", {"partial": {"sketch": {}}, "data_sets": {}}, ""),
    ):
        found = reason(tmp_path / name, ("a", 0.2, words), **at, **mine, images=missing)
        assert found.startswith(said) and bool(found) == bool(said)
    resized = words.replace("crop=1", "crop=0.875")
    assert "as they are published" in reason(tmp_path / "b", ("a", 0.2, resized), **at, **mine)
    unknown = "cue-conflict classes=16"
    assert "does not state size" in reason(tmp_path / "c", ("a", 0.2, unknown), **at, **mine)


def test_a_part_of_the_images_or_other_images_have_no_place(tmp_path):
    row = ("a", 70.0)
    assert "only 5,000" in reason(tmp_path / "a", row, limit=5000, count=5000)
    line = f"mine,{TOP1},70,80,{{}},\n"
    few = reason(tmp_path / "b", row, intervals=line.format(320))
    assert few == "320 images here, 50,000 in timm"
    assert reason(tmp_path / "c", row, intervals=line.format(49_998)) == ""  # two not decoded
    generated = reason(tmp_path / "d", row, evaluated="imagenet_c_generated")
    assert "generated here" in generated


def test_restricted_classes_are_compared(tmp_path):
    how = {"column": "top1_acc/imagenet-a", "benchmark": "imagenet_a"}
    at = {"measure": "top1_acc/imagenet-a", "n": 7500}
    row = ("a", 20.0, STUDY_WORDS.replace("1000", "200"))
    names = [f"n{k}" for k in range(200)]
    assert reason(tmp_path / "a", row, restricted_to=names, **at, **how) == ""
    assert "1000 classes here" in reason(tmp_path / "b", row, **at, **how)
    bare = ("a", 20.0, "size=224 crop=0.875 interpolation=bilinear")
    found = reason(tmp_path / "c", bare, restricted_to=names, **at, **how)
    assert "does not state classes" in found


def test_doubtful_values_are_not_compared(tmp_path):
    doubtful = ("a", 70.0, STUDY_WORDS, "timm", "doubtful: resized again")
    corrected = ("b", 80.0, STUDY_WORDS, "timm", "corrected: of padding")
    assert "resized again" in reason(tmp_path / "a", doubtful)
    (place,) = standing(own(tmp_path / "b"), published_rows(doubtful, corrected)).to_dict("records")
    assert (place["of"], place["nearest"]) == (1, "b")


def test_an_unknown_protocol_of_ones_own_says_so(tmp_path):
    table = own_table(tmp_path, {"mine": {TOP1: 75.0}})
    (place,) = standing(own_results(table, {TOP1})[0], published_rows(("a", 70.0))).to_dict(
        "records"
    )
    assert "not recorded" in place["reason"]
    assert np.isnan(place["rank"])
    (tmp_path / "provenance.json").write_text("{")
    assert "cannot be read" in refusal(own_results, table, {TOP1})


def test_models_of_the_miniature_are_never_compared(tmp_path):
    values = {name: {TOP1: 75.0} for name in ("miniature_plain", "renamed", "mine")}
    results = [result("miniature_plain"), result("renamed", spec="miniature_cutmix")]
    cells, others = own_results(own_table(tmp_path, values, results), {TOP1})
    assert others == ["miniature_plain", "renamed"]
    assert [*cells["model"]] == ["mine"]


def test_models_that_nobody_knows_are_placed_but_not_joined(tmp_path):
    rows = published_rows(("a", 70.0), ("b", 80.0))
    cells = own(tmp_path, model="my_resnet_of_tuesday")
    assert standing(cells, rows)["rank"].tolist() == [2]
    assert against(cells, rows).empty


def test_a_renamed_model_is_joined_by_what_was_evaluated(tmp_path):
    cells = own(tmp_path, model="mine", spec="tv_resnet50")
    assert [*cells["name"]] == ["resnet50.tv_in1k"]


def test_own_weights_under_a_published_name_are_not_the_published_ones(tmp_path):
    rows = published_rows(("alexnet", 56.5), ("b", 80.0))
    cells = own(tmp_path, 60.0, model="alexnet", spec="file://retrained.pth")
    assert against(cells, rows).empty
    (place,) = standing(cells, rows).to_dict("records")
    assert (place["rank"], place["of"]) == (2, 2)  # the published one is another model
    again = own(tmp_path, 60.0, model="alexnet", spec="alexnet")
    assert len(against(again, rows)) == 1


def test_our_names_of_flip_probabilities_are_found(tmp_path):
    measure, column = "flip-probability/snow", "flip_prob/snow"
    table = own_table(
        tmp_path,
        {"mine": {column: 0.07}},
        [result("mine", "imagenet_p", view=READY_VIEW)],
    )
    rows = published_rows(("a", 0.05, "size=224 crop=1 difficulty=1"), measure=measure, n=np.nan)
    (place,) = standing(own_results(table, {measure})[0], rows).to_dict("records")
    assert (place["measure"], place["rank"]) == (measure, 1)


def test_differences_have_the_interval_of_two_samples(tmp_path):
    line = f"tv_resnet50,{TOP1},75.4,76.8,50000,\n"
    cells = own(tmp_path, 76.1, model="tv_resnet50", intervals=line)
    rows = published_rows(
        ("resnet50.tv_in1k", 76.2), ("resnet50.tv_in1k", 78.0, OWN_WORDS, "other"), ("a", 70.0)
    )
    one, other = against(cells, rows).to_dict("records")
    ours = (76.8 - 75.4) / 2
    for row, value in ((one, 76.2), (other, 78.0)):
        theirs = 1.959964 * 100 * np.sqrt(value / 100 * (1 - value / 100) / 50_000)
        half = np.sqrt(ours**2 + theirs**2)
        assert row["difference"] == pytest.approx(76.1 - value)
        assert row["least"] == pytest.approx(76.1 - value - half, abs=1e-5)
        assert row["most"] == pytest.approx(76.1 - value + half, abs=1e-5)
        assert row["outside"] == (abs(76.1 - value) > half)
    assert (one["outside"], other["outside"]) == (False, True)
    assert one["reason"] == ""
    assert "288 of 288 px" in other["reason"]


def test_without_an_interval_the_number_of_images_serves_and_without_both_nothing_is_said(tmp_path):
    rows = published_rows(("resnet50.tv_in1k", 74.0))
    line = f"tv_resnet50,{TOP1},,,50000,\n"
    cells = own(tmp_path / "n", 76.1, model="tv_resnet50", intervals=line)
    (row,) = against(cells, rows).to_dict("records")
    variance = sum(v * (100 - v) / 50_000 for v in (76.1, 74.0))
    assert row["most"] - row["least"] == pytest.approx(2 * 1.959964 * np.sqrt(variance), rel=1e-5)
    assert row["outside"]
    cells = own(tmp_path / "none", 76.1, model="tv_resnet50")
    (row,) = against(cells, rows).to_dict("records")
    assert np.isnan(row["least"])
    assert not row["outside"]


def test_words_of_a_protocol():
    view = view_of(OWN_WORDS)
    assert (view.size, view.resize, view.interpolation, view.classes) == (288, 288, "bicubic", 1000)
    assert view_of("size=224 crop=0.9 interpolation=bicubic").resize == 248  # as timm rounds
    assert view_of("size=own").own
    assert view_of("attack=pgd,fgsm eps=8/255 classes=16").other == "attack=pgd,fgsm eps=8/255"


def test_places_among_the_published_tables_themselves(tmp_path):
    rows = with_names(read_published())
    values = {name: {TOP1: 76.146} for name in ("my_model", "tv_resnet50")}
    table = own_table(tmp_path, values, [result(name) for name in values])
    places = standing(own_results(table, {TOP1})[0], rows)
    mine, known = (
        places[(places["model"] == name) & (places["source"] == "timm")].iloc[0] for name in values
    )
    timm = pd.read_csv(TABLES / "timm.csv", dtype={"n": str})
    timm = timm[timm["measure"] == TOP1]
    alike = timm[timm["protocol"].str.startswith("size=224 crop=0.875 interpolation=bilinear")]
    assert (mine["of"], mine["rank"]) == (len(alike), 1 + (alike["value"] > 76.146).sum())
    firsts = timm.groupby("model", sort=False)["value"].first().drop("resnet50.tv_in1k")
    assert (known["of"], known["rank"]) == (len(firsts), 1 + (firsts > 76.146).sum())
    below = 100 * (firsts < 76.146).mean()
    assert known["percentile"] == pytest.approx(below + 50 * (firsts == 76.146).mean())
    distances = (firsts - 76.146).abs().sort_values(kind="stable")
    assert distances[known["nearest"].split(", ")].max() == distances.iloc[2]
    differences = against(own_results(table, {TOP1})[0], rows).set_index("source")
    published = timm[timm["model"] == "resnet50.tv_in1k"]["value"].iloc[0]
    assert differences.loc["timm", "published"] == published
    assert not differences.loc["timm", "outside"]
