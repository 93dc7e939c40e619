"""Tables of made-up models, for the tests of the analysis."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from bvg.analysis import dependence, prediction, published_faults, ranks
from bvg.table.measures import BENCHMARKS, BIASES
from bvg.table.study_table import StudyTable, read_study_table

CATEGORIES = ("adversarial_training", "augmentation", "baseline", "training_recipes")


def quick(patch) -> None:
    """Let an analysis take a second: with few resamples and permutations."""
    patch.setattr(ranks, "PERMUTATIONS", 2999)
    patch.setattr(ranks, "RESAMPLES", 200)
    patch.setattr(dependence, "SHUFFLES", 200)
    patch.setattr(prediction, "SHUFFLES", 50)


def made_up(models: int, seed: int = 0, names: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return a table of the study's columns in which one ability drives everything a little."""
    generator = np.random.default_rng(seed)
    ability = generator.standard_normal(models)
    columns = {}
    for name in names or (*BIASES, *BENCHMARKS):
        share = 1 / (1 + np.exp(-(ability + generator.standard_normal(models))))
        columns[name] = share if name in BIASES else 100 * share
    index = pd.Index([f"model_{number}" for number in range(models)], name="model")
    return pd.DataFrame(columns, index=index)


def publish(patch, frame: pd.DataFrame) -> None:
    """Let the rows of this table be the published ones."""
    prints = {name: published_faults.fingerprints(str(name), frame[name]) for name in frame}
    patch.setattr(published_faults, "_published", lambda: prints)


def write(frame: pd.DataFrame, folder: Path) -> Path:
    """Return the path of the table as a CSV file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "benchmark.csv"
    frame.to_csv(path)
    return path


def categories_of(frame: pd.DataFrame, folder: Path) -> Path:
    """Return a JSON file in which the models take turns among the categories."""
    groups = {name: [*frame.index[k :: len(CATEGORIES)]] for k, name in enumerate(CATEGORIES)}
    path = folder / "categories.json"
    path.write_text(json.dumps({name: models for name, models in groups.items() if models}))
    return path


def read(frame: pd.DataFrame, folder: Path) -> StudyTable:
    """Return the table as it is read from its file, with categories."""
    path = write(frame, folder)
    return read_study_table(path, categories_of(frame, folder))
