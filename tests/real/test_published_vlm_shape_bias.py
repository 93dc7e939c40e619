"""Published decisions of CLIP models and classifiers, through our 16-way score (vlm_shapebias)."""

import pandas as pd
import pytest

from bvg.data.categories import CATEGORIES
from bvg.scores.shape_bias import count_decisions


@pytest.fixture
def recomputed(fixtures) -> pd.DataFrame:
    external = fixtures / "published" / "external" / "vlm_shapebias_recomputed.csv"
    return pd.read_csv(external, index_col="file")


def test_published_decisions_give_the_published_shape_biases(fixtures, recomputed):
    folder = fixtures / "published" / "vlm_shapebias"
    files = sorted(folder.rglob("*.csv"))
    assert len(files) == 13
    biases = {}
    for file in files:
        table = pd.read_csv(file)
        cues = table["image"].str.extract(r"^([a-z]+)\d+-([a-z]+)\d+")
        answers = table["pred_label"].str.strip().str.casefold()
        assert set(cues[0]) == set(cues[1]) == set(CATEGORIES)
        counts = count_decisions(answers, cues[0], cues[1])
        known = recomputed.loc[file.relative_to(folder).as_posix()]
        assert (counts.shape, counts.texture, counts.total) == (
            known["shape"],
            known["texture"],
            known["conflict"],
        ), file
        biases[file.stem] = round(counts.bias().value, 4)
        assert biases[file.stem] == known["shape_bias"]
    assert biases["clip_RN50_openai_None"] == 0.197
    assert biases["ViT_L_14_openai_None"] == 0.6095
