"""Losses that count the middle of a window alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lessons import LENGTH, batch_of, config_of, model_of

from megabase.bundles import BUNDLES
from megabase.training.config import TrainingConfig
from megabase.training.step import Trainer, make_mesh

CENTRAL = 2048


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    config = config_of(*BUNDLES)
    recipe = TrainingConfig(batch=1, multinomial_window=1024, central=CENTRAL)
    return Trainer(model_of(config), recipe, make_mesh())


def test_what_lies_outside_changes_no_loss(trainer: Trainer) -> None:
    config = config_of(*BUNDLES)
    batch: Any = dict(batch_of(config))
    first, last = (LENGTH - CENTRAL) // 2, (LENGTH + CENTRAL) // 2
    sites = batch["splice_site_positions"] = batch["splice_site_positions"].copy()
    sites[:, :, 1], sites[:, :, 2] = first, last - 1  # The outermost that count.
    before = trainer.validate(trainer.initial, batch)["losses"]
    changed = {**batch, "targets": dict(batch["targets"]), "masks": dict(batch["masks"])}
    inside = (sites >= first) & (sites < last)
    for spec in config.heads:
        target = np.array(batch["targets"][spec.head])
        if spec.bundle == "SPLICE_JUNCTIONS":
            plus, minus = (inside[0, s, :, None] & inside[0, s + 1, None] for s in (0, 2))
            for strand, kept in enumerate((plus, minus)):
                target[0, :, :, strand * spec.tracks : (strand + 1) * spec.tracks][~kept] = 77
        elif spec.bundle == "CONTACT_MAPS":
            continue  # Its two bins both reach beyond the middle.
        else:
            place = np.arange(target.shape[1]) * (LENGTH // target.shape[1])
            outside = (place < first) | (place >= last)
            target[0, outside] = target[0, outside][::-1] if target.dtype == bool else 0.75
        changed["targets"][spec.head] = target
    genes = np.array(batch["masks"]["genes"])
    genes[:, :first] = True
    changed["masks"]["genes"] = genes
    after = trainer.validate(trainer.initial, changed)["losses"]
    assert before.keys() == after.keys()
    for name, loss in before.items():
        assert np.isclose(loss, after[name], rtol=1e-6), name
    moved = {**batch, "targets": {**batch["targets"], "cage": np.array(batch["targets"]["cage"])}}
    moved["targets"]["cage"][0, first : first + 64] = 50
    assert trainer.validate(trainer.initial, moved)["losses"]["cage"] != before["cage"]
