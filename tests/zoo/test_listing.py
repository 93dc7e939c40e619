"""What the table says, in words."""

from dataclasses import fields

import pytest

from bvg.progress import text_table
from bvg.zoo.listing import ORDERS, entry_text, list_text, where_from
from bvg.zoo.table import ZooModel, zoo


def test_the_list_has_a_line_per_model_and_aligned_columns():
    lines = list_text(zoo().values()).splitlines()
    assert len(lines) == len(zoo()) + 1
    assert {line.split()[0] for line in lines[1:]} == zoo().keys()
    place = lines[0].index("category")
    for line in lines[1:]:
        assert line[place:].startswith(zoo()[line.split()[0]].category)


@pytest.mark.parametrize("by", ORDERS)
def test_the_list_is_in_the_order_asked_for(by):
    names = [line.split()[0] for line in list_text(zoo().values(), by).splitlines()[1:]]
    column = {"category": "category", "name": "name", "year": "year", "size": "parameters"}[by]
    values = [getattr(zoo()[name], column) or 0 for name in names]
    assert values == sorted(values)


def test_where_a_model_is_from():
    assert where_from(zoo()["tv_resnet50"]) == "timm, torchvision"
    assert where_from(zoo()["resnet50_dino"]) == "dl.fbaipublicfiles.com"
    assert where_from(zoo()["resnet50_pixmix_90ep"]) == "Google Drive"
    assert where_from(zoo()["resnet50_frozen_random"]) == "Google Drive (unconfirmed)"
    assert where_from(zoo()["resnet50_untrained"]) == "seed 0"
    assert where_from(zoo()["miniature_blur"]) == "this repository"
    assert where_from(zoo()["resnet50_lpmix"]) == "nowhere"


def test_an_entry_in_full_leaves_nothing_out():
    shown = {f.name for f in fields(ZooModel)} - {"files", "native"}
    for row in zoo().values():
        text = entry_text(row)
        for name in shown:
            value = getattr(row, name)
            needs_network = name.startswith("arch") and not (row.files or row.seed is not None)
            for part in value if isinstance(value, tuple | dict) else [value]:
                if part not in (None, "") and not needs_network:
                    assert str(part) in text, (row.name, name)
        for file in row.files:
            for part in (*file.source, file.sha256, file.container, *file.drop, *file.rename):
                assert part in text, row.name


def test_an_entry_says_how_the_file_is_read():
    text = entry_text(zoo()["robust_resnet50_linf_eps4.0"])
    assert "in 'model', only the keys module.model.*, the prefix module.model. removed" in text
    text = entry_text(zoo()["resnet50_opticsaugment"])
    assert "in 'model_state_dict', found by search (the layout is a guess)" in text
    assert "not published: pinned at the first download" in text


def test_columns_may_be_to_the_right():
    assert text_table([("a", "b"), ("long", "100")], right=(1,)) == "a       b\nlong  100"
