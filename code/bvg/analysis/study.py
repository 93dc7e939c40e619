"""Everything that is computed from a table of models: a table of numbers for each question."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from bvg.analysis.correlations import corrected, correlation_table
from bvg.analysis.cues import beyond_accuracy, shape_pairs
from bvg.analysis.dependence import dependence
from bvg.analysis.given_accuracy import REFERENCE, EffectiveRobustness, effective_robustness
from bvg.analysis.measurement_error import attenuation, standard_errors
from bvg.analysis.measures import AT, OTHER, TOTAL, Measures, groups_of, measures_of, names_of
from bvg.analysis.prediction import prediction_table
from bvg.analysis.published_faults import published_faults
from bvg.table.measures import BIASES, IMAGENET
from bvg.table.study_table import StudyTable

FAMILY = (TOTAL, AT, OTHER)  # the groups whose tests are corrected together


@dataclass(frozen=True)
class Study:
    """A table of models, and what follows from it.

    groups: which models belong to each, by name. errors: standard errors of every measure.
    correlations: biases × aggregates, one family in Total, AT and Other; singles:
    biases × single benchmarks, not corrected. effective: biases × effective robustness.
    shape_pairs, cues_given_accuracy: of measures of single cues, see cues.py. dependences,
    attenuations, predictions: see the modules. faults: of the published table.
    """

    table: StudyTable
    measures: Measures
    groups: Mapping[str, np.ndarray]
    errors: pd.DataFrame
    correlations: pd.DataFrame
    singles: pd.DataFrame
    robustness: EffectiveRobustness
    effective: pd.DataFrame
    shape_pairs: pd.DataFrame
    cues_given_accuracy: pd.DataFrame
    dependences: pd.DataFrame
    attenuations: pd.DataFrame
    predictions: pd.DataFrame
    faults: tuple[str, ...]


def analyse(table: StudyTable, reference: tuple[str, ...] = REFERENCE) -> Study:
    """Return every measure and statistic of a table; the same table gives the same numbers.

    reference: the categories whose line of accuracies effective robustness is measured from.
    """
    measures = measures_of(table.values)
    groups = groups_of(table.categories)
    categories = table.categories.to_numpy(dtype=str)
    biases, targets = [*measures.biases], [*measures.targets]
    values = pd.concat([measures.biases, measures.targets, measures.benchmarks], axis=1)
    errors = standard_errors(table.values, measures, table.intervals)
    main = {name: groups[name] for name in FAMILY}
    effective = _robustness(measures, np.isin(categories, reference))
    over = pd.concat([measures.biases, effective.residuals], axis=1)
    correlations = _family(correlation_table(values, categories, groups, biases, targets, IMAGENET))
    return Study(
        table,
        measures,
        groups,
        errors,
        correlations,
        correlation_table(values, categories, main, biases, [*measures.benchmarks], IMAGENET),
        effective,
        _family(correlation_table(over, categories, main, biases, [*effective.residuals])),
        shape_pairs(values, categories, errors),
        beyond_accuracy(correlations),
        correlation_table(values, categories, main, biases, targets, measure=dependence),
        correlation_table(
            values, categories, main, biases, targets, measure=partial(attenuation, errors=errors)
        ),
        _predictions(measures, categories, groups),
        tuple(published_faults(table.values)),
    )


def _family(correlations: pd.DataFrame) -> pd.DataFrame:
    """Return the correlations with corrected p-values, the three main groups being one family.

    holm, bh, by: of p by the t approximation, as the study has it; holm_permutation, …: of the
    permutation p, which holds for few models, too, and which findings and figures follow.
    """
    if correlations.empty or "p_permutation" not in correlations:
        return correlations
    tests = correlations[correlations["group"].isin(FAMILY)]
    exact = corrected(tests["p_permutation"]).add_suffix("_permutation")
    return correlations.join([corrected(tests["p"]), exact])


def _robustness(measures: Measures, reference: np.ndarray) -> EffectiveRobustness:
    index = measures.targets.index
    accuracy = measures.benchmarks.get(IMAGENET, pd.Series(np.nan, index, name=IMAGENET))
    return effective_robustness(measures.targets, accuracy, reference)


def _predictions(
    measures: Measures, categories: np.ndarray, groups: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Return the predictions in Total and Other; AT is a single category of few models.

    Measures of single cues take part if all models have them that have the study's biases: others
    would leave too few models.
    """
    own = measures.biases[[name for name in BIASES if name in measures.biases]]
    whole = measures.biases[own.notna().all(axis=1)].notna().all()
    kept = [name for name in names_of(measures.biases) if name in own or whole[name]]
    biases = measures.biases[kept]
    frames = []
    for name in (TOTAL, OTHER):
        rows = groups[name]
        frame = prediction_table(biases[rows], measures.targets[rows], categories[rows])
        frames.append(frame.assign(group=name))
    return pd.concat(frames, ignore_index=True)
