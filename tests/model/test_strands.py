"""Predictions of the other strand equal the expected values."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from parity import rules

from megabase.bundles import BUNDLES
from megabase.model import ModelConfig
from megabase.model.spec import HeadSpec
from megabase.model.splicing import likely_sites
from megabase.model.strands import other_strand, turned_back

TURNED = jnp.array([True, False])


@pytest.mark.parametrize("bundle", [name for name in BUNDLES if name not in ("CONTACT_MAPS", "SPLICE_JUNCTIONS")])
def test_the_other_strand_equals_the_expected_values(shared: Path, bundle: str) -> None:
    expected = np.load(shared / "parity" / "expected.npz")
    name = f"rc/HOMO_SAPIENS/{bundle}"
    spec = next(s for s in ModelConfig.paper(shared / "reference" / "tracks").heads if s.bundle == bundle)
    shape = tuple(expected[f"vec/{name}|shape"])
    given = {"predictions": rules(shared, "inputs").pred(f"rc/{bundle}", shape)}
    found = np.asarray(turned_back(given, spec, 0, TURNED, 64)["predictions"])
    if bundle != "SPLICE_SITES":
        assert np.array_equal(other_strand(spec.track_strands[0]), expected[f"vec/{name}/reindex"])
    probed = found.reshape(-1)[rules(shared, "fill").probe(name, shape)]
    assert np.array_equal(probed, expected[f"vec/{name}|values"])


def test_junctions_of_the_other_strand(shared: Path) -> None:
    """Positions equal the expected ones; the rule of the predictions behind those values is not known."""
    positions = np.stack([rules(shared, "fill").splice_positions(64, 8, padding) for padding in (2, 1)])
    spec = HeadSpec("SPLICE_JUNCTIONS", 2, ((1.0, 1.0),), ((True, True),))
    counts = np.random.default_rng(0).random((2, 8, 8, 4), np.float32)
    found = turned_back({"predictions": counts, "splice_site_positions": positions}, spec, 0, TURNED, 64)
    assert np.array_equal(found["predictions"][0], counts[0][..., [2, 3, 0, 1]])
    assert np.array_equal(found["predictions"][1], counts[1])
    name = "vec/rc/HOMO_SAPIENS/SPLICE_JUNCTIONS/splice_site_positions|values"
    assert np.array_equal(found["splice_site_positions"], np.load(shared / "parity" / "expected.npz")[name])


def test_dnase_moves_at_single_bases_alone() -> None:
    spec = HeadSpec("DNASE", 1, ((1.0,),), ((True,),), (".",))
    given = jnp.arange(1.0, 5.0).reshape(1, 4, 1)
    names = ("predictions_1bp", "scaled_predictions_1bp", "predictions_8bp", "predictions_128bp")
    found = turned_back(dict.fromkeys(names, given), spec, 0, jnp.array([True]), 4)
    for name in names:
        assert found[name].ravel().tolist() == ([0, 4, 3, 2] if name.endswith("_1bp") else [4, 3, 2, 1]), name


def test_contact_maps_of_the_other_strand() -> None:
    spec = HeadSpec("CONTACT_MAPS", 1, ((1.0,),), ((True,),))
    maps = np.random.default_rng(0).random((2, 4, 4, 1), np.float32)
    found = turned_back({"predictions": maps}, spec, 0, TURNED, 8192)["predictions"]
    assert np.array_equal(found, np.stack([maps[0, ::-1, ::-1], maps[1]]))


@pytest.mark.parametrize("threshold", [0.0, 0.1])
def test_the_likeliest_sites_equal_the_expected_values(shared: Path, threshold: float) -> None:
    probabilities = rules(shared, "inputs").uniform("topk", (2, 512, 5)) ** 6
    found = likely_sites(probabilities, 32, width=40, threshold=threshold)
    assert np.array_equal(found, np.load(shared / "parity" / "expected.npz")[f"vec/topk/{threshold}"])


def test_the_lower_of_equal_sites_is_taken_and_short_windows_are_padded() -> None:
    found = likely_sites(jnp.full((1, 6, 5), 0.2), 4, threshold=0.1)
    assert np.array_equal(found, np.broadcast_to([0, 1, 2, 3], (1, 4, 4)))
    assert np.array_equal(likely_sites(jnp.full((1, 2, 5), 0.2), 4)[0, 0], [0, 1, -1, -1])


def test_tracks_without_a_partner_stay() -> None:
    assert other_strand(np.array([1, 0, -1, 1])).tolist() == [2, 1, 0, 3]
