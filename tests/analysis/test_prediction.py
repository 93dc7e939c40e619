import numpy as np
import pandas as pd
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from bvg.analysis import prediction as module
from bvg.analysis.prediction import (
    GP_LENGTHS,
    GP_NOISES,
    PREDICTORS,
    category_folds,
    gaussian_process,
    out_of_fold_r2,
    prediction_table,
    random_folds,
    ridge,
)


def drawn(n: int, seed: int = 0):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, 3))
    return x, np.stack([x[:, 0] + 0.3 * generator.standard_normal(n), generator.random(n)], axis=1)


def nested(x, new, y, models):
    """Return what the model with the least leave-one-out error predicts, chosen the slow way."""
    errors = []
    for model in models:
        left_out = cross_val_predict(model, x, y, cv=LeaveOneOut())
        errors.append(((left_out - y) ** 2).mean())
    return models[int(np.argmin(errors))].fit(x, y).predict(new)


def test_the_gaussian_process_is_scikit_learns_with_nested_choice():
    x, outcomes = drawn(24)
    y = (outcomes - outcomes.mean(axis=0)) / outcomes.std(axis=0)
    new = drawn(5, seed=1)[0]
    models = [
        GaussianProcessRegressor(RBF(length * np.sqrt(3)), alpha=noise, optimizer=None)
        for length in GP_LENGTHS
        for noise in GP_NOISES
    ]
    predicted = gaussian_process(x, new, outcomes)
    for column in range(2):
        slow = nested(x, new, y[:, column], models)
        slow = slow * outcomes[:, column].std() + outcomes[:, column].mean()
        np.testing.assert_allclose(predicted[:, column], slow, atol=2e-5)


def test_ridge_chooses_its_penalty_by_leave_one_out():
    x, outcomes = drawn(24)
    new = drawn(5, seed=1)[0]
    models = [Ridge(penalty) for penalty in module.RIDGE_PENALTIES]
    predicted = ridge(x, new, outcomes)
    for column in range(2):
        np.testing.assert_allclose(
            predicted[:, column], nested(x, new, outcomes[:, column], models), atol=1e-8
        )


def test_no_model_is_predicted_from_itself():
    folds = random_folds(23)
    assert sorted(np.concatenate([test for _, test in folds])) == [*range(23)]
    assert not any(set(train) & set(test) for train, test in folds)
    categories = np.array(list("aaaaabbbbbcc"))
    for train, test in category_folds(categories):
        assert not set(categories[train]) & set(categories[test])
    assert len(category_folds(categories)) == 3
    assert category_folds(np.array(list("aaaaabbbbb"))) == []


@pytest.mark.parametrize("name", PREDICTORS)
def test_r2_by_hand(name):
    x, y = drawn(20)
    folds = random_folds(20)
    error = spread = 0.0
    for train, test in folds:
        mean, scale = x[train].mean(axis=0), x[train].std(axis=0)
        guess = PREDICTORS[name]((x[train] - mean) / scale, (x[test] - mean) / scale, y[train])
        error += ((guess[:, 0] - y[test, 0]) ** 2).sum()
        spread += ((y[test, 0] - y[train, 0].mean()) ** 2).sum()
    r2 = out_of_fold_r2(PREDICTORS[name], x, y, folds)
    assert r2[0] == pytest.approx(1 - error / spread, abs=1e-6)
    assert r2[0] > 0.6 > 0.2 > r2[1]  # the second outcome is noise


def test_the_table_tells_signal_from_noise(monkeypatch):
    monkeypatch.setattr(module, "SHUFFLES", 200)
    x, y = drawn(24)
    biases, targets = pd.DataFrame(x, columns=list("abc")), pd.DataFrame(y, columns=["yes", "no"])
    targets.loc[3, "no"] = np.nan
    table = prediction_table(biases, targets, np.array(list("uvw") * 8))
    assert len(table) == 4 * 2 * 2 * 2  # biases or all, targets, predictors, folds
    every, signal = table[table["biases"] == "all"], table[table["target"] == "yes"]
    assert every.groupby("target")["n"].unique().to_dict() == {"yes": [24], "no": [23]}
    assert (every.loc[every["target"] == "yes", "p"] < 0.02).all()
    assert (every.loc[every["target"] == "no", "p"] > 0.05).all()
    assert (every["null95"] < 0.5).all()
    alone = signal.groupby("biases")["r2"].max()
    assert alone["a"] > 0.8 > 0.2 > alone[["b", "c"]].max()  # only a drives it
    again = prediction_table(biases, targets, np.array(list("uvw") * 8))
    pd.testing.assert_frame_equal(table, again)


def test_a_curve_is_for_the_gaussian_process_alone():
    x = np.linspace(-2, 2, 40)[:, None]
    y = x**2 - (x**2).mean()
    folds = random_folds(40)
    assert out_of_fold_r2(gaussian_process, x, y, folds)[0] > 0.8
    assert out_of_fold_r2(ridge, x, y, folds)[0] < 0.1


def test_few_models_or_categories_say_so():
    x, y = drawn(9)
    table = prediction_table(pd.DataFrame(x), pd.DataFrame(y), np.array(["a"] * 9))
    assert set(table["note"]) == {"only 9 models; at least 10 are needed"}
    assert table["r2"].isna().all()
    x, y = drawn(12)
    table = prediction_table(pd.DataFrame(x[:, :1]), pd.DataFrame(y[:, :1]), np.array(["a"] * 12))
    assert table.set_index("folds")["note"].to_dict() == {
        "random": "",
        "by category": "fewer than 3 categories",
    }


def test_what_all_models_have_in_common_is_not_predicted(monkeypatch):
    """Not with R² = 1, either, which rounding errors of 70.1 would give."""
    monkeypatch.setattr(module, "SHUFFLES", 20)
    x, y = drawn(12)
    targets = pd.DataFrame({"same": np.full(12, 70.1), "other": y[:, 0]})
    categories = np.array(list("abc") * 4)
    table = prediction_table(pd.DataFrame(x[:, :1]), targets, categories).set_index("target")
    assert table.loc["same", ["r2", "null95", "p"]].isna().all(axis=None)
    assert set(table.loc["same", "note"]) == {"all models have the same value"}
    alone = prediction_table(pd.DataFrame(x[:, :1]), targets[["other"]], categories)
    pd.testing.assert_frame_equal(
        table.loc[["other"]].reset_index()[["r2", "p", "note"]], alone[["r2", "p", "note"]]
    )


def test_of_many_models_some_are_drawn(monkeypatch):
    monkeypatch.setattr(module, "MOST_MODELS", 15)
    monkeypatch.setattr(module, "SHUFFLES", 20)
    x, y = drawn(30)
    table = prediction_table(pd.DataFrame(x[:, :1]), pd.DataFrame(y[:, :1]), np.array(["a"] * 30))
    assert set(table["n"]) == {15}
