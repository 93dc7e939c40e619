"""docs/models.md says what the table says."""

import re

from bvg.zoo.page import models_page
from bvg.zoo.table import TABLE, read_table, zoo
from conftest import REPOSITORY


def test_the_committed_page_is_what_the_generator_writes():
    written = (REPOSITORY / "docs" / "models.md").read_text()
    assert written == models_page(zoo().values()), "run: python code/zoo.py docs"


def test_every_model_of_imagenet_is_on_the_page_once():
    page = models_page(zoo().values())
    rows = [row for row in zoo().values() if row.classes == "imagenet-1k"]
    tables = page.partition("## Unconfirmed")[0] + page.partition("## Not available")[2]
    for row in rows:
        assert len(re.findall(rf"^\| `{re.escape(row.name)}`", tables, re.M)) == 1, row.name
        assert (row.unavailable or row.method) in page
    assert (
        f"{sum(not row.unavailable for row in rows)} models are available and 4 are unavailable"
        in page
    )


def test_every_table_is_well_formed():
    for block in re.findall(r"(?:^\|.*\n)+", models_page(zoo().values()), re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_example_of_five_lines_is_a_row(tmp_path):
    page = models_page(zoo().values())
    (example,) = re.findall(
        r"((?:^    .*\n)+)", page.partition("## Adding")[2].partition("That")[0], re.M
    )
    assert len(example.splitlines()) == 5
    text = (TABLE / "recipes.toml").read_text() + re.sub("^    ", "", example, flags=re.M)
    (tmp_path / "recipes.toml").write_text(text)
    row = read_table(tmp_path / "recipes.toml")["my_resnet50"]
    assert (row.category, row.year, row.arch) == ("training_recipes", 2021, "timm:resnet50")
    assert row.files[0].strip == "module."
