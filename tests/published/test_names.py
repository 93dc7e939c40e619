"""One name per model: the table is sound, agrees with timm and our zoo, and tells what is wrong."""

import re
from collections import defaultdict

import pandas as pd
import pytest
import timm
from timm.models import _registry as registry  # the map of old names has no public function

from bvg.published import names as module
from bvg.published.names import COLUMNS, DATA, MODELS, own_model, read_names, with_names
from bvg.zoo.table import zoo
from conftest import refusal


@pytest.fixture(scope="module")
def names():
    return read_names()


@pytest.fixture(scope="module")
def timm_names():
    return set(timm.list_models(pretrained=True, include_tags=True))


def rows_of(names, source):
    return names.loc[source]


def architecture(name):
    return name.partition(".")[0]


def test_every_source_has_its_models(names):
    counts = names.groupby(level="source").size()
    assert counts["quba"] == 326
    assert counts["timm"] == 1266 + 1  # and one that is only among the results on ImageNet-A
    assert counts["testbed"] == 338
    assert counts["openclip"] == 121
    assert counts["study"] == 70
    assert counts["ood_benchmarks"] == 26
    assert {"css", "critical_band", "corruptionbench", "robustbench"} < {*counts.index}


def test_tables_and_names_have_the_same_models(names):
    tables = [path for path in MODELS.parent.glob("*.csv") if "protocol" in path.open().readline()]
    assert {"quba", "timm", "testbed", "corruptionbench"} <= {path.stem for path in tables}
    for path in tables:
        own = names.loc[path.stem]
        with_values = set(pd.read_csv(path, dtype=str, keep_default_na=False)["model"])
        assert with_values <= set(own.index), path.stem
        lacking = own.drop(index=[*with_values])
        assert lacking["note"].str.contains("no values: ").all(), path.stem
        kept = own.loc[[*with_values], "note"]
        assert not kept.str.contains("no values").any(), path.stem


# What a name of a timm model says of its training images, worked out here on its own.
TAGS = (
    ("larger", r"jft|ig1b|yfcc|laion|openai|webli|swag|seer|m38m|m30m|clip|indomain"),
    ("imagenet-21k", r"in21k|in22k|in12k|ssld"),
    ("imagenet-1k", r"in1k"),
)


def test_data_of_timm_models_are_what_the_tag_says_or_the_note_says_why(names, timm_names):
    for row in names[names["model"].isin(timm_names)].itertuples():
        said = next((data for data, tag in TAGS if re.search(tag, row.model)), "none")
        assert row.data == said or row.note, row
    differing = {
        row.model
        for row in names[names["model"].isin(timm_names)].itertuples()
        if row.data != next((data for data, tag in TAGS if re.search(tag, row.model)), "none")
    }
    assert differing == {
        *("beitv2_base_patch16_224.in1k_ft_in1k", "beitv2_large_patch16_224.in1k_ft_in1k"),
        *("beit3_base_patch16_224.in22k_ft_in1k", "beit3_large_patch16_224.in22k_ft_in1k"),
        *("dpn68b.mx_in1k", "dpn92.mx_in1k", "dpn107.mx_in1k"),
        *("resnetv2_50x1_bit.goog_distilled_in1k", "resmlp_24_224.fb_dino"),
    }


def test_timm_models_are_called_what_timm_calls_them(names, timm_names):
    own = rows_of(names, "timm")
    assert (own["model"] == own.index).all()
    assert set(own.index) <= timm_names
    # What is neither a publisher's nor our zoo's is timm's.
    zoo_names = {model.name for model in zoo().values()}
    others = {name for name in names["model"] if ":" not in name} - zoo_names
    assert others <= timm_names
    assert zoo_names & set(own.index) <= set(zoo_names) & timm_names


def test_old_timm_names_lead_where_timm_says(names):
    old = dict(registry._deprecated_models)
    checked = 0
    for source in ("corruptionbench", "ood_benchmarks", "zoo"):
        for row in rows_of(names, source).itertuples():
            if new := old.get(row.Index):
                assert new in (row.model, architecture(row.model)), row
                checked += 1
    assert checked == 39


def test_an_architecture_has_one_family_and_kind(names, timm_names):
    of_timm = names[names["model"].isin(timm_names)]
    per_architecture = of_timm.groupby(of_timm["model"].map(architecture))
    assert (per_architecture[["family", "kind"]].nunique() == 1).all(axis=None)


def test_the_models_of_a_file_of_timm_are_of_one_family_or_listed(names):
    own = rows_of(names, "timm")
    families = defaultdict(set)
    for row in own.itertuples():
        families[registry._model_to_module[architecture(row.model)]].add(row.family)
    assert {file: found for file, found in families.items() if len(found) > 1} == {
        "byoanet": {"botnet", "regnet"},
        "byobnet": {"byobnet", "gernet", "mobileone", "regnet", "repvgg", "resnet"},
        "efficientnet": {"efficientnet", "mobilenet"},
        "maxxvit": {"coatnet", "maxvit"},
        "mlp_mixer": {"gmlp", "mlp-mixer", "resmlp"},
        "nfnet": {"nfnet", "regnet", "resnet"},
    }


def test_families_that_span_files_are_listed(names):
    own = rows_of(names, "timm")
    files = defaultdict(set)
    for row in own.itertuples():
        files[row.family].add(registry._model_to_module[architecture(row.model)])
    assert {family: found for family, found in files.items() if len(found) > 1} == {
        "densenet": {"densenet", "rdnet"},
        "efficientformer": {"efficientformer", "efficientformer_v2"},
        "ghostnet": {"ghostnet", "repghost"},
        "inception": {"inception_resnet_v2", "inception_v3", "inception_v4"},
        "mobilenet": {"efficientnet", "hardcorenas", "mobilenetv3"},
        "nasnet": {"nasnet", "pnasnet"},
        "regnet": {"byoanet", "byobnet", "nfnet", "regnet"},
        "resnet": {
            *("byobnet", "nfnet", "res2net", "resnest", "resnet", "resnetv2", "senet", "sknet"),
            "tresnet",
        },
        "swin": {"swin_transformer", "swin_transformer_v2", "swin_transformer_v2_cr"},
        "vit": {
            *("beit", "deit", "eva", "naflexvit", "vision_transformer"),
            *("vision_transformer_hybrid", "vision_transformer_relpos"),
        },
        "xception": {"xception", "xception_aligned"},
    }


def test_our_zoo_is_there_and_agrees(names):
    entries = {model.name: model for model in zoo().values() if model.classes == "imagenet-1k"}
    own = rows_of(names, "zoo")
    assert set(own.index) == set(entries)
    for row in own.itertuples():
        entry = entries[row.Index]
        seen = set(entry.trained_on)
        if seen == {"none"}:
            assert row.data == "none"
        elif seen <= {"IN-1k", "SIN"}:
            assert row.data == "imagenet-1k", row
        else:
            assert row.data == ("imagenet-21k" if seen <= {"IN-1k", "IN-21k"} else "larger"), row
        adversarial = entry.category == "adversarial_training" and row.Index[-5:] != "_eps0"
        assert row.adversarial == ("yes" if adversarial else "no")
        if of_timm := [name for name in entry.library if name.startswith("timm:")]:
            assert f"timm:{row.model}" == of_timm[0]


def test_resnet_50s_are_one_family_whatever_their_training(names):
    for key in (
        *(("study", "resnet50_trained_on_SIN"), ("study", "robust_resnet50_l2_eps3")),
        *(("timm", "resnet50.a1_in1k"), ("quba", "bcos-ResNet50"), ("css", "resnet50_bagnet9")),
        *(("testbed", "resnet50_swav"), ("openclip", "RN50/openai")),
    ):
        assert names.loc[key, "family"] == "resnet"
        assert names.loc[key, "kind"] == "cnn"


def test_weights_that_are_not_known_to_be_the_same_are_not_joined(names):
    own = rows_of(names, "corruptionbench")
    for name in ("resnet50", "resnet18", "convnext_base", "tf_efficientnet_b2"):
        assert own.loc[name, "model"] == f"corruptionbench:{name}"
        assert own.loc[name, "note"]
    assert names.loc[("testbed", "mnasnet0_5"), "model"] == "testbed:mnasnet0_5"


def test_every_name_that_no_other_source_has_says_whose_it_is(names):
    publishers = {name.partition(":")[0] for name in names["model"] if ":" in name}
    sources = {*names.index.get_level_values("source")} - {"timm", "zoo", "study"}
    assert publishers <= sources | {"torchvision", "dinov2", "bagnets"}


def write(tmp_path, *changes, columns=COLUMNS):
    """Return a table of two rows of one model, with changes: (row, column, value)."""
    row = ("quba", "ResNet50", "224", "resnet50.tv_in1k", "resnet", "cnn", "imagenet-1k", "no", "")
    table = pd.DataFrame([row, row], columns=COLUMNS)
    table.loc[1, "source"] = "study"
    for number, column, value in changes:
        table.loc[number, column] = value
    path = tmp_path / "models.csv"
    table[[*columns]].to_csv(path, index=False)
    return path


def test_a_sound_table_is_read_as_it_is(tmp_path):
    table = read_names(write(tmp_path, (0, "note", "NA"), (0, "size", "")))
    assert table.loc[("quba", "ResNet50"), "note"] == "NA"
    assert table.loc[("quba", "ResNet50"), "size"] == ""
    assert table.loc[("study", "ResNet50"), "size"] == "224"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((1, "source", "quba"), ("ResNet50", "quba", "twice")),
        ((1, "kind", "convolutional"), ("ResNet50", "study", "kind", "transformer")),
        ((1, "data", "in1k"), ("ResNet50", "data", *DATA)),
        ((1, "adversarial", ""), ("adversarial", "yes, no")),
        ((1, "family", "cnn"), ("resnet50.tv_in1k", "family")),
        ((1, "kind", "hybrid"), ("resnet50.tv_in1k", "kind")),
        ((1, "data", "larger"), ("resnet50.tv_in1k", "data")),
        ((0, "adversarial", "yes"), ("resnet50.tv_in1k", "adversarial")),
        ((1, "model", ""), ("row 2", "model")),
    ],
)
def test_a_mistake_in_the_table_is_named(tmp_path, change, words):
    sentence = refusal(read_names, write(tmp_path, change))
    assert all(word in sentence for word in words)


def test_other_columns_and_no_table_are_refused(tmp_path):
    assert "family" in refusal(read_names, write(tmp_path, columns=COLUMNS[:4]))
    assert "gone.csv" in refusal(read_names, tmp_path / "gone.csv")


def test_names_are_attached_to_rows_in_their_order(tmp_path):
    rows = pd.DataFrame(
        {
            "source": ["study", "quba", "study"],
            "model": ["tv_resnet50", "ResNet50", "swsl_resnet50"],
            "value": [1.0, 2.0, 3.0],
        },
        index=[7, 3, 5],
    )
    named = with_names(rows)
    assert [*named.index] == [7, 3, 5]
    assert [*named["value"]] == [1.0, 2.0, 3.0]
    assert [*named["name"]] == [*rows["model"]]
    expected = ["resnet50.tv_in1k", "resnet50.tv_in1k", "resnet50.fb_swsl_ig1b_ft_in1k"]
    assert [*named["model"]] == expected
    assert [*named["data"]] == ["imagenet-1k", "imagenet-1k", "larger"]
    assert {*named["family"]} == {"resnet"}
    assert {*named["kind"]} == {"cnn"}
    assert {*named["adversarial"]} == {"no"}


def test_an_unknown_name_says_which_and_where_to_add_it():
    rows = pd.DataFrame({"source": ["quba", "quba"], "model": ["ResNet50", "ResNet5000"]})
    sentence = refusal(with_names, rows)
    assert "ResNet5000" in sentence
    assert "quba" in sentence
    assert MODELS.name in sentence


@pytest.mark.parametrize(
    ("run_name", "model"),
    [
        ("tv_resnet50", "resnet50.tv_in1k"),
        ("resnet50", "resnet50.tv_in1k"),  # an alias of our zoo
        ("resnet50_swsl", "resnet50.fb_swsl_ig1b_ft_in1k"),
        ("vit_base_patch16_224.mae_in1k_mean0.5", "vit_base_patch16_224.mae_in1k"),
        ("convnext_tiny.fb_in1k", "convnext_tiny.fb_in1k"),
        ("timm_convnext_tiny.fb_in1k", "convnext_tiny.fb_in1k"),  # of --model timm:…
        ("robust_resnet50_l2_eps3", "robust_resnet50_l2_eps3"),
        ("miniature_plain", None),
        ("my_resnet", None),
    ],
)
def test_the_name_of_a_model_of_ones_own(run_name, model):
    assert own_model(run_name) == model


def test_the_table_is_read_once(monkeypatch):
    module.published_names.cache_clear()
    first = module.published_names()
    monkeypatch.setattr(module, "read_names", lambda: pytest.fail("read again"))
    assert module.published_names() is first
