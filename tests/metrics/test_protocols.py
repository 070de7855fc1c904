"""The supervised protocols learn what is there to learn, and only from what they may."""

from __future__ import annotations

import numpy as np
import pytest

from megabase.errors import InputError
from megabase.metrics import protocols


def test_without_scikit_learn_one_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(InputError, match="scikit-learn is not installed"):
        protocols.lasso_predictions(np.zeros((20, 2)), np.zeros(20), np.zeros((5, 2)))


def test_lasso_by_locus() -> None:
    learn = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    draw = np.random.default_rng(2)
    loci, trained = np.repeat(["one", "two"], 120), np.tile(np.repeat([True, False], [80, 40]), 2)
    features = draw.normal(size=(240, 6)) * np.array([1, 100, 1, 1, 1, 0]) + 3
    # The loci obey opposite rules: only a fit of each locus can find both.
    effects = np.where(loci == "one", 1.0, -1.0) * features[:, 0] + features[:, 1] / 100 + 0.3 * draw.normal(size=240)
    mean, values = protocols.lasso_pearson(loci, trained, features, effects)
    assert set(values) == {"one", "two"} and min(values.values()) > 0.9
    assert mean == pytest.approx(np.mean(list(values.values())))
    assert protocols.lasso_pearson(loci, trained, features, effects, ("two",))[0] == values["one"]
    own = loci == "one"
    train, test = features[own & trained], features[own & ~trained]
    scaled = (train - train.mean(0)) / np.where(train.std(0) > 0, train.std(0), 1)
    folds = __import__("sklearn.model_selection", fromlist=["x"]).KFold(10, shuffle=True, random_state=0)
    direct = learn.LassoCV(alphas=100, cv=folds, max_iter=20_000).fit(scaled, effects[own & trained])
    held = direct.predict((test - train.mean(0)) / np.where(train.std(0) > 0, train.std(0), 1))
    assert values["one"] == pytest.approx(np.corrcoef(held, effects[own & ~trained])[0, 1], abs=1e-6)
    with pytest.raises(InputError, match="fewer than 10 folds"):
        protocols.lasso_predictions(features[:5], effects[:5], features[5:])


def test_forest_is_judged_on_what_it_did_not_learn_from() -> None:
    pytest.importorskip("sklearn.ensemble", reason="scikit-learn is not installed")
    draw = np.random.default_rng(3)
    positive, trained = draw.random(400) < 0.4, np.arange(400) < 250
    features = np.abs(draw.normal(size=(400, 4)))
    features[:, 0] += positive
    held, folds = protocols.forest_auroc(positive, features, trained)
    assert 0.7 < held < 0.95 and 0.7 < folds < 0.95
    fooled = np.where(trained, positive, ~positive)
    assert protocols.forest_auroc(fooled, features, trained)[0] == pytest.approx(1 - held, abs=1e-6)
