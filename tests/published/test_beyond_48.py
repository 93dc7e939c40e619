"""docs/beyond_48.md says what the statistics say: its numbers are looked up in their files."""

import re

import pytest

from bvg.analysis.beyond import BIASES, KEYS, STATISTICS, STUDY, TARGETS
from bvg.published.statistics import read_statistics
from conftest import REPOSITORY

TEXT = (REPOSITORY / "docs" / "beyond_48.md").read_text(encoding="utf-8")
CORRELATIONS = read_statistics("correlations")
WITH_INTERVAL = re.compile(r"−?\d\.\d\d \[−?\d\.\d\d, −?\d\.\d\d\]")


def cell(row, suffix: str) -> str:
    """Return r and its interval as the page writes them."""
    r, low, high = (f"{row[f'{name}{suffix}']:.2f}" for name in ("r", "low", "high"))
    text = "" if r == "nan" else r if low == "nan" else f"{r} [{low}, {high}]"
    return text.replace("-", "−")


def rows(header: str) -> list[list[str]]:
    """Return the cells of the table whose header begins with these words."""
    lines = TEXT[TEXT.index(f"| {header}") :].split("\n\n")[0].splitlines()[2:]
    return [[word.strip() for word in line.strip("|").split("|")] for line in lines]


def found(bias: str, target: str, subset: str):
    """Return the row of correlations.csv for labels like `shape bias (quba)`, `C (timm)`."""
    (bias, bias_source), (target, target_source) = (
        re.fullmatch(r"(.+) \((\w+)\)", words).groups() for words in (bias, target)
    )
    of = CORRELATIONS
    of = of[(of["bias"].map(BIASES) == bias) & (of["bias_source"] == bias_source)]
    of = of[(of["target"].map(TARGETS) == target) & (of["target_source"] == target_source)]
    of = of[of["subset"] == subset]
    assert len(of) == 1, (bias, target)
    return of.iloc[0]


def test_the_tables_are_rows_of_the_file():
    main, groups = (
        rows("bias (table) | benchmark (table) | models/families"),
        rows("bias (table) | benchmark (table) | models |"),
    )
    assert len(main) > 40
    assert len(groups) > 15
    for bias, target, *cells in main:
        groups.append([bias, target, "all", *cells])
    for bias, target, subset, models, *cells in groups:
        row = found(bias, target, subset)
        assert models == f"{row['n']}/{row['families']}"
        assert cells == [cell(row, suffix) for suffix in STATISTICS], (bias, target, subset)


def test_every_r_with_an_interval_is_in_a_file():
    known = {cell(row, suffix) for _, row in CORRELATIONS.iterrows() for suffix in STATISTICS}
    known |= {cell(row, "") for _, row in read_statistics("instruments").iterrows()}
    said = set(WITH_INTERVAL.findall(" ".join(TEXT.split())))
    assert len(said) > 100
    assert said <= known, said - known


def test_agreement_is_that_of_the_file():
    table = read_statistics("agreement").set_index(["measure", "a_source", "b_source"])
    lines = rows("measure | difference")
    assert len(lines) > 10
    for measure, pair, n, *numbers in lines:
        a, b = pair.split(" − ")
        row = table.loc[(measure.strip("`"), a, b)]
        assert int(n) == row["n"]
        points = 100 if measure == "`shape-bias`" else 1
        columns = ("mean", "sd", "rms", "sampling", "remainder")
        assert numbers[:5] == [f"{points * row[c]:.2f}".replace("-", "−") for c in columns]
        assert numbers[5].split(" ")[0] == row["largest_models"].split(" ")[0]


@pytest.mark.parametrize("suffix", STATISTICS)
def test_the_counts_of_tests_are_those_of_the_file(suffix):
    name = {"": "r", "_given": "r given accuracy", "_effective": "r with effective robustness"}
    line = next(cells for cells in rows("statistic | tests") if cells[0] == name[suffix])
    p = CORRELATIONS[f"p{suffix}"]
    counts = [p.notna().sum(), (p < 0.05).sum()]
    counts += [(CORRELATIONS[f"{c}{suffix}"] < 0.05).sum() for c in ("holm", "bh", "by")]
    assert [int(word) for word in line[1:]] == counts


def test_what_the_page_says_in_words_holds():
    every = CORRELATIONS[CORRELATIONS["subset"] == "all"]
    study = every[(every["bias_source"] == STUDY) & (every["target_source"] == STUDY)]
    assert (study["n"] == 48).all()
    for suffix in STATISTICS:
        assert (study[f"bh{suffix}"] > 0.05).all()  # no correlation survives
    corrupted = study.set_index(["bias", "target"]).loc["shape-bias", "top1_acc/imagenet-c/15"]
    assert round(corrupted["p_given"], 1) == 0.3
    both_signs = (study["low"] < 0) & (study["high"] > 0)
    assert both_signs.mean() > 0.9
    turns = study[study["bias"] == "shape-bias"].set_index("target")["turns_without"]
    assert turns["top1_acc/imagenet-c/15"] == turns["top1_acc/imagenet-sketch"]
    assert turns["top1_acc/imagenet-sketch"] == "adversarial_training"
    assert turns["top1_acc/imagenet-r"] == "adversarial_training, training_recipes"
    # Given accuracy, only shape bias survives Holm, with corruptions and attacks.
    strong = CORRELATIONS[CORRELATIONS["holm_given"] < 0.05]
    assert set(strong["bias"]) == {"shape-bias"}
    assert set(strong["subset"]) == {"ImageNet-1k only"}
    assert {name.split("/", 1)[1] for name in strong["target"]} == {"imagenet-c/15", "adversarial"}
    # The critical band's bandwidth, given accuracy.
    band = every[every["bias_source"] == "critical_band"]
    band = band[(band["bias"] == "critical-band/bandwidth") & (band["target_source"] == "timm")]
    assert ((band["low_given"] < 0) & (band["high_given"] > 0)).all()
    natural = band[band["target"] != "top1_acc/imagenet-real"]["r"]
    assert (round(natural.min(), 2), round(natural.max(), 2)) == (-0.71, -0.64)
    quba = every.set_index(KEYS[:4]).loc["shape-bias", "quba", "top1_acc/imagenet-c/15", "quba"]
    assert (quba["n"], quba["families"], round(quba["effective_families"], 1)) == (245, 30, 8.7)
    # What there is too little of.
    assert "ResNet-50s" not in set(CORRELATIONS["subset"])
    robust = CORRELATIONS[CORRELATIONS["subset"] == "adversarially trained"]
    assert robust["p"].isna().all()
    cbar = every[(every["bias"] == "shape-bias") & (every["target"] == "top1_acc/imagenet-cbar")]
    assert sorted(cbar["n"]) == [11, 48]
    calibration = every[(every["target"] == "calibration-error") & (every["families"] >= 5)]
    assert (calibration["bh"] > 0.05).all()
    assert set(calibration["target_source"]) == {"quba"}


def test_what_it_says_of_instruments_holds():
    table = read_statistics("instruments")
    table = table[table["subset"] == "all"].set_index(["a", "a_source", "b", "b_source"])

    def between(a: str, b: str):
        keys = [tuple(words.split(" ")) for words in (a, b)]
        return next(table.loc[x + y] for x, y in (keys, keys[::-1]) if x + y in table.index)

    for name, r in {"bandwidth": 0.82, "peak-sensitivity": 0.75, "centre": -0.32}.items():
        row = between(f"critical-band/{name} critical_band", f"critical-band/{name} study")
        assert (row["n"], round(row["r"], 2)) == (10, r)
    row = between("css/1440 css", "shape-bias quba")
    assert (row["n"], round(row["r"], 2), round(row["effective_families"])) == (37, 0.81, 3)
    assert row["low"] < 0 < row["high"]
    row = between("css/72 css", "shape-bias study")
    assert (row["n"], round(row["r"], 2)) == (11, -0.23)


def test_keys_are_unique():
    assert not CORRELATIONS[KEYS].duplicated().any()
