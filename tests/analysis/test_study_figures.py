import numpy as np
import pytest
from matplotlib import pyplot as plt

from bvg.analysis.study import analyse
from bvg.figures import study as figures
from study_helpers import made_up, quick, read


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        tables = {"ours": made_up(13), "published": made_up(12, seed=1), "small": made_up(2)}
        return {
            name: analyse(read(frame, tmp_path_factory.mktemp(name)))
            for name, frame in tables.items()
        }


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_matrices_show_r_and_the_published_look_hides_what_is_not_significant(studies):
    study = studies["ours"]
    plain, published = (figures.correlation_figure(study, look) for look in (False, True))
    assert len(plain.axes) == 3
    assert len(texts(plain)) == 3 * 28
    rows = study.correlations[study.correlations["group"].isin(["Total", "AT", "Other"])]
    weak = int((~(rows["p"] < 0.05)).sum())
    assert texts(published).count("0.00") == weak > texts(plain).count("0.00")
    assert figures.as_png(plain).startswith(b"\x89PNG")


def test_few_models_and_missing_cells_show(tmp_path):
    frame = made_up(4)
    frame["shape-bias"] = [0.1, 0.2, 0.3, 0.4]
    for name in ("imagenet", "imagenet-v2", "imagenet-real"):
        frame[f"top1_acc/{name}"] = [40.0, 50, 60, 70]
    frame.loc["model_0", "top1_acc/stylized"] = np.nan
    study = analyse(read(frame, tmp_path))
    total = figures.correlation_figure(study).axes[0]
    assert total.texts[0].get_text() == "1.00"
    assert {text.get_color() for text in total.texts} == {"0.4"}  # p = 0.08 at best
    assert total.texts[2].get_text().endswith("\nn\u00a0=\u00a03")
    assert not total.patches  # no frames
    plt.close("all")


def test_tables_are_overlaid(studies):
    both = {name: studies[name] for name in ("ours", "published")}
    figure = figures.scatter_grid(both)
    assert len(figure.axes) == 4 * 7
    points = sum(len(collection.get_offsets()) for collection in figure.axes[0].collections)
    assert points == 25
    assert len(figures.scatter_grid(both, ["ID"]).axes) == 7
    assert figure.axes[0].get_title().startswith("r = ")


def test_the_other_figures_are_drawn(studies):
    assert len(figures.given_accuracy_figure(studies["ours"]).axes) == 3
    assert len(figures.prediction_figure(studies["ours"]).axes[0].patches) == 4 * 4


@pytest.mark.parametrize(
    "draw",
    [figures.correlation_figure, figures.given_accuracy_figure, figures.prediction_figure],
)
def test_a_table_that_is_too_small_says_so(draw, studies):
    with pytest.raises(ValueError, match=r"too few|no correlation"):
        draw(studies["small"])
