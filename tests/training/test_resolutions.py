"""Heads at resolutions other than those of their output types: what they predict, are compared with, and store."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lessons import LENGTH, batch_of, config_of, model_of
from small_run import job

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.model import ModelConfig
from megabase.model.spec import at_resolutions
from megabase.model.weights import load
from megabase.scoring.predict import Predictor
from megabase.store.reader import Shards
from megabase.training.config import TrainingConfig
from megabase.training.losses import observed, taught
from megabase.training.step import Trainer, make_mesh, one_hot

CHOSEN = {
    "rna_seq": [32],
    "chip_tf": [32],
    "cage": [8, 128],
    "splice_sites_classification": [32],
    "splice_sites_usage": [4],
    "splice_sites_junction": [32],
}
BUNDLES_CHOSEN = [bundle.name for bundle in BUNDLES.values() if bundle.head in CHOSEN]


def config() -> ModelConfig:
    made = config_of(*BUNDLES_CHOSEN)
    return dataclasses.replace(made, heads=at_resolutions(made.heads, CHOSEN))


def test_predictions_are_given_at_their_own_and_at_the_output_type_s_resolutions() -> None:
    own, batch = config(), batch_of(config())
    positions = jnp.asarray(batch["splice_site_positions"])
    predicted = jax.jit(lambda dna: model_of(own)(dna, np.array([0]), splice_site_positions=positions)[0])
    outputs = predicted(one_hot(batch["sequence"]))
    rna, factor, cage = outputs["rna_seq"], outputs["chip_tf"], outputs["cage"]
    assert {name for name in rna if name.startswith("scaled")} == {"scaled_predictions_32bp"}
    assert rna["predictions_32bp"].shape == (1, LENGTH // 32, 3) and rna["predictions_1bp"].shape == (1, LENGTH, 3)
    bins = np.asarray(rna["predictions_32bp"])
    np.testing.assert_allclose(np.asarray(rna["predictions_1bp"]).reshape(1, -1, 32, 3).sum(2), bins, rtol=1e-5)
    np.testing.assert_allclose(rna["predictions_128bp"], bins.reshape(1, -1, 4, 3).sum(2), rtol=1e-5)
    assert factor["predictions_32bp"].shape == (1, LENGTH // 32, 3)
    assert {"predictions_1bp", "predictions_8bp", "predictions_128bp"} < set(cage)
    sites = outputs["splice_sites_classification"]
    assert sites["logits"].shape == (1, LENGTH // 32, 5) and sites["predictions"].shape == (1, LENGTH, 5)
    assert np.array_equal(sites["predictions"][:, :32], np.repeat(sites["predictions"][:, :1], 32, 1))
    assert np.allclose(sites["predictions"].sum(-1), 1, atol=1e-5)
    # Sites of one bin have one embedding; what tells them apart is where they are.
    assert outputs["splice_sites_junction"]["predictions"].shape == (1, 6, 6, 4)


def test_targets_are_sums_and_splice_labels_the_largest_of_a_bin() -> None:
    own, batch = config(), batch_of(config(), seed=1)
    wanted = observed(batch["targets"], batch["masks"], np.array([0]), own.heads)
    classes = np.asarray(batch["targets"]["splice_sites_classification"])[0].reshape(-1, 32, 5).any(1)
    target, known = wanted["splice_sites_classification"][32]
    assert np.asarray(known).all() and np.allclose(target.sum(-1), 1)
    several = classes[:, :4].sum(1)
    assert (several > 1).any() and (several == 0).any()
    assert np.allclose(np.asarray(target)[0, :, :4], classes[:, :4] / np.maximum(several, 1)[:, None])
    assert np.array_equal(np.asarray(target)[0, :, 4], (several == 0).astype(np.float32))
    usage = np.asarray(batch["targets"]["splice_sites_usage"])[0].reshape(-1, 4, 4).max(1)
    assert np.array_equal(np.asarray(wanted["splice_sites_usage"][4][0])[0], usage)
    assert set(wanted["cage"]) == {8, 128}
    # Below the soft clip, scaled targets are means of those at 1 bp.
    means = np.asarray(batch["targets"]["cage"], np.float32)[0].reshape(-1, 8, 3).mean(1)
    made = np.asarray(wanted["cage"][8][0])[0]
    assert np.allclose(made[means < 10], means[means < 10], rtol=1e-2) and (means < 10).any()


def test_every_head_learns_and_teaches_at_them() -> None:
    own = config()
    recipe = TrainingConfig(batch=1, multinomial_window=1024, learning_rate=0.01, warmup=0, weight_decay=0)
    trainer, batch = Trainer(model_of(own), recipe, make_mesh()), batch_of(own)
    state, before = trainer.update(trainer.initial, batch, 0)
    for step in range(1, 5):
        state, after = trainer.update(state, batch, step)
    assert set(before["losses"]) == set(CHOSEN) | {"genes"}
    assert all(np.isfinite(loss) for loss in after["losses"].values()) and after["loss"] < before["loss"]
    model = trainer.model(state)
    lesson: Any = jax.eval_shape(
        lambda sequence: taught(model(one_hot(sequence), np.array([0]))[0], np.array([0]), own.heads), batch["sequence"]
    )
    assert {head: sorted(by) for head, by in lesson.items()} == CHOSEN
    assert lesson["splice_sites_classification"][32][0].shape == (1, LENGTH // 32, 5)


def test_what_cannot_be_predicted_is_refused() -> None:
    heads = config_of("CAGE", "CHIP_TF", "SPLICE_SITES").heads
    for chosen, said in (
        ({"cages": [32]}, r"resolutions\.cages: no head cages; choose from atac"),
        ({"chip_tf": [8]}, r"resolutions\.chip_tf: \[8\] bp cannot be predicted; choose some of 16, 32, 64, 128"),
        ({"cage": [3]}, r"\[3\] bp cannot be predicted"),
        ({"splice_sites_classification": [1, 32]}, r"choose one of 1, 2, 4"),
        ({"contact_maps": [128]}, "contact maps have one resolution"),
    ):
        with pytest.raises(InputError, match=said):
            at_resolutions(heads, chosen)


def test_a_run_stores_and_reads_them(shards: Path, tmp_path: Path) -> None:
    own = job(shards, tmp_path)
    chosen = {"cage": [32], "chip_tf": [32], "dnase": [16, 128]}
    own = dataclasses.replace(own, trained=dataclasses.replace(own.trained, resolutions=chosen))
    own.run()
    model, described = load(own.out)
    assert {spec.head: list(spec.chosen) for spec in model.config.heads if spec.chosen} == chosen
    assert described["resolutions"] == chosen
    predictor, test = Predictor.load(own.out), Shards.open(shards / "test.zarr")
    example = test.read(0, read_at=predictor.read_at)
    assert example.targets["chip_tf"].shape == (128, 1) and example.masks["chip_tf"].shape[0] == 128
    plain = test.read(0)
    assert np.allclose(example.targets["chip_tf"].reshape(32, 4, 1).sum(1), plain.targets["chip_tf"], rtol=1e-5)
    tracks = predictor.predict(example.sequence[None], "made")
    assert sorted(tracks["cage"]) == [1, 32, 128] and sorted(tracks["dnase"]) == [1, 16, 128]
    assert tracks["chip_tf"][32].shape == (1, 128, 1) and tracks["chip_tf"][128].shape == (1, 32, 1)
