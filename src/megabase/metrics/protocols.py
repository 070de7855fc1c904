"""The paper's two supervised protocols, as scikit-learn does them.

- LASSO of saturation mutagenesis (CAGI5): features are standardised by the training variants, `LassoCV` with ten folds
  and 100 penalties is fitted per locus, and the test variants' predictions are correlated with what was measured.
- Random forest of eQTL causality: trees of depth 5 on the magnitudes of all scores, five folds.

Source: paper, section 8.2; evaluation reference, sections 1b and 1c. scikit-learn is imported when it is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped

from megabase.errors import InputError
from megabase.metrics.intervals import mean_of_known
from megabase.metrics.moments import moments, pearson
from megabase.metrics.ranking import roc_auc

LASSO_FOLDS, LASSO_PENALTIES = 10, 100
FOREST_DEPTH, FOREST_FOLDS = 5, 5

Features = Float[np.ndarray, "variants features"]


def lasso_predictions(
    train: Features, effects: Float[np.ndarray, " variants"], test: Features, seed: int = 0
) -> Float64[np.ndarray, " tested"]:
    """Effects of the test variants of one locus, by a LASSO fitted on its training variants.

    The folds are shuffled by `seed`: neighbours of a saturated locus would otherwise be tested together. Raises
    InputError where there are fewer variants than folds.
    """
    learn = _learner("linear_model")
    if len(train) < LASSO_FOLDS:
        raise InputError(
            f"{len(train)} training variants are fewer than {LASSO_FOLDS} folds",
            where="LASSO protocol",
            remedy="leave the locus out",
        )
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1)
    folds = _learner("model_selection").KFold(LASSO_FOLDS, shuffle=True, random_state=seed)
    model = learn.LassoCV(alphas=LASSO_PENALTIES, cv=folds, max_iter=20_000)
    return np.asarray(model.fit((train - mean) / deviation, effects).predict((test - mean) / deviation))


def lasso_pearson(
    loci: Shaped[np.ndarray, " n"],
    trained: Bool[np.ndarray, " n"],
    features: Float[np.ndarray, "n features"],
    effects: Float[np.ndarray, " n"],
    leave_out: tuple[str, ...] = (),
) -> tuple[float, dict[str, float]]:
    """The mean over loci of the correlation on test variants, and that of each locus.

    `trained` says which variants are of the training split. Loci in `leave_out` have a value and no share of the mean
    (the paper leaves out TERT-GBM and MYC).
    """
    values: dict[str, float] = {}
    for locus in np.unique(loci):
        train, test = (loci == locus) & trained, (loci == locus) & ~trained
        predicted = lasso_predictions(features[train], effects[train], features[test])
        sums = moments(effects[test][:, None], predicted[:, None], np.ones((int(test.sum()), 1), bool))
        values[str(locus)] = float(pearson(sums)[0])
    return float(mean_of_known(np.array([value for key, value in values.items() if key not in leave_out]))), values


def forest_auroc(
    positive: Bool[np.ndarray, " n"],
    features: Float[np.ndarray, "n features"],
    trained: Bool[np.ndarray, " n"],
    seed: int = 0,
) -> tuple[float, float]:
    """auROC of a random forest on held-out variants, and its mean over five folds of the variants it may learn from.

    The features are magnitudes: give |score|. Held-out are the variants that are not `trained` (other chromosomes).
    """
    ensemble, selection = _learner("ensemble"), _learner("model_selection")
    own, labels = features[trained], positive[trained]
    values = []
    for fit, check in selection.StratifiedKFold(FOREST_FOLDS, shuffle=True, random_state=seed).split(own, labels):
        forest = ensemble.RandomForestClassifier(max_depth=FOREST_DEPTH, random_state=seed).fit(own[fit], labels[fit])
        values.append(roc_auc(labels[check], forest.predict_proba(own[check])[:, 1])[0])
    forest = ensemble.RandomForestClassifier(max_depth=FOREST_DEPTH, random_state=seed).fit(own, labels)
    held = roc_auc(positive[~trained], forest.predict_proba(features[~trained])[:, 1])[0]
    return float(held), float(np.mean(values))


def _learner(module: str) -> Any:
    """A module of scikit-learn. Raises InputError where it is not installed."""
    import importlib

    try:
        return importlib.import_module(f"sklearn.{module}")
    except ModuleNotFoundError as error:
        raise InputError(
            "scikit-learn is not installed", where="supervised protocols", remedy="make setup installs it"
        ) from error
