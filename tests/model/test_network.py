"""The whole network, narrow: shapes, statistics, keys, gradients, scale of activations."""

from __future__ import annotations

import functools
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from flax import nnx

from megabase.errors import InputError
from megabase.model.config import NetworkConfig, Remat
from megabase.model.network import AlphaGenome
from megabase.model.spec import HeadSpec, ModelConfig, head_specs
from megabase.model.weights import shapes_of

RNA = HeadSpec("RNA_SEQ", 3, ((2.0, 1.0, 0.5), (1.0, 1.0, 1.0)), ((True, True, True), (True, False, False)))
TF = HeadSpec("CHIP_TF", 2, ((1.0, 3.0), (1.0, 1.0)), ((True, True), (True, True)))
CONTACTS = HeadSpec("CONTACT_MAPS", 2, ((1.0, 1.0), (1.0, 1.0)), ((True, True), (True, False)))
HEADS = (RNA, TF, CONTACTS)
ORGANISMS = jnp.asarray([0, 1], jnp.int32)


def small(**changes: object) -> NetworkConfig:
    """Two transformer blocks, the second without an update of the pairs."""
    demo = {
        name: getattr(NetworkConfig.demo(), name)
        for name in NetworkConfig.__dataclass_fields__  # type: ignore[attr-defined]
    }
    return NetworkConfig(**(demo | {"channels": 8, "channel_step": 4, "blocks": 2} | changes))  # type: ignore[arg-type]


def build(
    config: NetworkConfig | None = None, *, heads: tuple[HeadSpec, ...] = HEADS, dropout: float = 0.0
) -> AlphaGenome:
    return AlphaGenome(ModelConfig(config or small(), heads, 2), dropout=dropout, rngs=nnx.Rngs(0))


def dna(length: int, batch: int = 2, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.eye(4, dtype=np.float32)[np.random.default_rng(seed).integers(0, 4, (batch, length))])


@functools.cache
def compiled(train: bool = False, requested: frozenset[str] | None = None):
    """(model, dna, organisms, key) -> (predictions, embeddings, statistics), one program for all tests."""

    @nnx.jit
    def call(model, dna, organisms, key=None):
        predictions, embeddings = model(dna, organisms, train=train, key=key, requested_outputs=requested)
        return predictions, embeddings, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))

    return call


@pytest.fixture
def model() -> AlphaGenome:
    return build()


def sizes(state: object) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(state))


def test_the_released_size(shared: Path) -> None:
    config = ModelConfig.paper(shared / "reference" / "tracks")
    assert {spec.head: tuple(spec.track_valid.sum(axis=1)) for spec in config.heads} == {
        "atac": (167, 18),
        "cage": (546, 188),
        "dnase": (305, 67),
        "rna_seq": (667, 173),
        "procap": (12, 0),
        "chip_histone": (1116, 183),
        "chip_tf": (1617, 127),
        "contact_maps": (28, 8),
        "splice_sites_classification": (4, 4),
        "splice_sites_usage": (734, 180),
        "splice_sites_junction": (367, 90),
    }
    assert all(np.isfinite(spec.track_means).all() for spec in config.heads)
    model = shapes_of(config)
    parameters = nnx.state(model, nnx.Param)
    heads = {name: sizes(state) for name, state in parameters["heads"].items()}
    assert sizes(parameters) == 450_452_613 and sum(heads.values()) == 46_533_630
    assert heads["contact_maps"] == 7224 and heads["splice_sites_classification"] == 15_370
    assert sizes(nnx.state(model, nnx.BatchStat)) == 100_608


def test_the_demo_model_is_made_in_seconds() -> None:
    started = time.process_time()
    build(NetworkConfig.demo())
    assert time.process_time() - started < 3.0


@pytest.mark.parametrize("length", [2048, 6144])
def test_shapes(model: AlphaGenome, length: int) -> None:
    predictions, embeddings, _ = compiled()(model, dna(length), ORGANISMS)
    bins, pairs = length // 128, length // 2048
    assert {head: {name: y.shape for name, y in outputs.items()} for head, outputs in predictions.items()} == {
        "rna_seq": {
            "scaled_predictions_1bp": (2, length, 3),
            "predictions_1bp": (2, length, 3),
            "scaled_predictions_128bp": (2, bins, 3),
            "predictions_128bp": (2, bins, 3),
        },
        "chip_tf": {"scaled_predictions_128bp": (2, bins, 2), "predictions_128bp": (2, bins, 2)},
        "contact_maps": {"predictions": (2, pairs, pairs, 2)},
    }
    assert {name: x.shape for name, x in embeddings._asdict().items()} == {
        "embeddings_1bp": (2, length, 16),
        "embeddings_128bp": (2, bins, 64),
        "embeddings_pair": (2, pairs, pairs, 16),
    }
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(predictions))
    contacts = predictions["contact_maps"]["predictions"]
    np.testing.assert_allclose(contacts, contacts.swapaxes(1, 2), rtol=1e-4, atol=1e-5)
    assert contacts.std() > 0


def test_wrong_lengths_and_heads_are_refused(model: AlphaGenome) -> None:
    with pytest.raises(InputError, match="3,000 bp; give a multiple of 2,048"):
        model(dna(3000), ORGANISMS)
    with pytest.raises(InputError, match="no head atac; choose from rna_seq, chip_tf, contact_maps"):
        model(dna(2048), ORGANISMS, requested_outputs=frozenset({"atac"}))


def test_only_what_is_requested_is_computed(model: AlphaGenome) -> None:
    everything, _, _ = compiled()(model, dna(2048), ORGANISMS)
    some, embeddings, _ = compiled(False, frozenset({"chip_tf"}))(model, dna(2048), ORGANISMS)
    assert set(some) == {"chip_tf"}
    assert [name for name, x in embeddings._asdict().items() if x is not None] == ["embeddings_128bp"]
    for name, values in some["chip_tf"].items():
        np.testing.assert_allclose(values, everything["chip_tf"][name], rtol=1e-4, atol=1e-6)


def test_unscaled_predictions_are_in_the_tracks_own_units(model: AlphaGenome) -> None:
    outputs = compiled(True)(model, dna(6144), ORGANISMS)[0]["rna_seq"]
    scaled = np.asarray(outputs["scaled_predictions_128bp"])
    assert scaled.max() < 10
    means = np.asarray(RNA.means)[:, None]
    np.testing.assert_allclose(outputs["predictions_128bp"], scaled ** (1 / 0.75) * means * 128, rtol=1e-4)


def test_initial_predictions_are_near_the_scaled_mean(model: AlphaGenome) -> None:
    predictions, _, _ = compiled(True)(model, dna(6144), ORGANISMS)
    for head, outputs in predictions.items():
        for name, values in outputs.items():
            if name.startswith("scaled"):
                assert 0.6 < float(values.mean()) < 1.6, (head, name)


def test_training_updates_every_statistic_and_prediction_none(model: AlphaGenome) -> None:
    before = nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))
    _, _, predicted = compiled()(model, dna(6144), ORGANISMS)
    _, _, trained = compiled(True)(model, dna(6144), ORGANISMS)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), before, predicted)))
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).all()), before, trained)))


def test_activations_stay_in_scale_through_the_depth() -> None:
    config = small(channels=32, channel_step=8, blocks=9, heads=2)
    _, embeddings, statistics = compiled(True)(build(config, heads=()), dna(6144, batch=1), ORGANISMS[:1])
    squares = {
        jax.tree_util.keystr(place): (np.asarray(value) - 0.9) / 0.1
        for place, value in jax.tree_util.tree_leaves_with_path(statistics)
    }
    assert len(squares) == 1 + 12 + 21 + 9 * 5 + 2  # as many as the released model has
    means = {place: float(square.mean()) for place, square in squares.items()}
    assert min(means.values()) > 0.05, min(means.items(), key=lambda item: item[1])
    assert max(means.values()) < 100, max(means.items(), key=lambda item: item[1])
    for name, x in embeddings._asdict().items():
        assert 0.1 < float(jnp.sqrt(jnp.mean(jnp.square(x)))) < 2.0, name


def test_organism_and_sequence_matter(model: AlphaGenome) -> None:
    x = dna(2048, batch=1)
    other = jnp.concatenate((x[:, :1000], x[:, 1040:1080], x[:, 1040:]), axis=1)
    one = compiled()(model, jnp.concatenate((x, x)), ORGANISMS)[0]["rna_seq"]["predictions_1bp"]
    two = compiled()(model, jnp.concatenate((x, other)), jnp.zeros(2, jnp.int32))[0]["rna_seq"]["predictions_1bp"]
    assert not np.allclose(one[0], one[1])
    np.testing.assert_allclose(one[0], two[0], rtol=1e-4, atol=1e-6)
    assert not np.allclose(two[0], two[1])


def test_dropout_is_decided_by_the_key() -> None:
    model = build(dropout=0.3)
    call = compiled(True, frozenset({"chip_tf"}))

    def first(key: jax.Array | None) -> np.ndarray:
        return np.asarray(call(model, dna(2048), ORGANISMS, key)[0]["chip_tf"]["scaled_predictions_128bp"])

    none = first(None)
    some = first(jax.random.key(1))
    np.testing.assert_array_equal(some, first(jax.random.key(1)))
    assert not np.allclose(some, first(jax.random.key(2)))
    assert not np.allclose(some, none)


@pytest.mark.parametrize(
    "remat", [*(pytest.param(other, marks=pytest.mark.long) for other in ("nothing", "everything")), "elementwise"]
)
def test_gradients_are_finite_and_reach_every_parameter(remat: Remat) -> None:
    # Stages of one width are compiled in half the time.
    graph, *states = nnx.split(build(small(remat=remat, channel_step=0), dropout=0.1), nnx.Param, nnx.BatchStat)
    parameters, statistics = map(nnx.to_pure_dict, states)
    heads = frozenset(spec.head for spec in HEADS)

    @jax.jit
    def gradients(parameters, statistics, key):
        def loss(parameters):
            model = nnx.merge(graph, parameters, statistics)
            predictions, _ = model(dna(4096), ORGANISMS, train=True, key=key, requested_outputs=heads)
            # Padded tracks are masked, as training does it.
            rna = jnp.where(RNA.track_valid[ORGANISMS][:, None], predictions["rna_seq"]["predictions_1bp"], 0.0)
            rest = [predictions["rna_seq"]["scaled_predictions_128bp"], predictions["chip_tf"]["predictions_128bp"]]
            total = jnp.mean(rna) + sum(map(jnp.mean, rest))
            contacts = jnp.mean(jnp.square(predictions["contact_maps"]["predictions"]))
            return total + contacts, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))

        return jax.grad(loss, has_aux=True)(parameters)

    found, moved = gradients(parameters, statistics, jax.random.key(0))
    names = {jax.tree_util.keystr(place): leaf for place, leaf in jax.tree_util.tree_leaves_with_path(found)}
    assert all(np.isfinite(leaf).all() for leaf in names.values())
    assert [name for name, leaf in names.items() if not np.any(leaf)] == []
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).all()), statistics, moved)))


def test_what_is_computed_again_are_no_products_unless_everything_is() -> None:
    def counted(remat: Remat) -> tuple[int, ...]:
        graph, parameters, rest = nnx.split(build(small(remat=remat, channel_step=0)), nnx.Param, ...)

        def loss(parameters: nnx.State) -> jax.Array:
            embeddings = nnx.merge(graph, parameters, rest, copy=True).embed(dna(4096), ORGANISMS, train=True)
            return sum(jnp.mean(jnp.square(x)) for x in embeddings)

        program = jax.jit(jax.grad(loss)).lower(parameters).as_text()
        names = ("stablehlo.convolution", "stablehlo.dot_general", "stablehlo.rsqrt")
        return tuple(program.count(name) for name in names)

    (convolutions, products, norms), some, everything = map(counted, ("nothing", "elementwise", "everything"))
    assert some[0] == convolutions < everything[0]
    assert products < some[1] < everything[1]
    assert norms < some[2]


def test_what_is_computed_again_does_not_change_what_is_drawn() -> None:
    first, *others = (
        jax.tree.leaves(nnx.split(build(small(remat=remat)), nnx.Param, ...)[1])
        for remat in ("nothing", "elementwise", "everything")
    )
    for own in others:
        np.testing.assert_array_equal(np.asarray(own[0]), np.asarray(first[0]))


def test_bfloat16_is_close_to_float32_and_predicts_float32() -> None:
    x = dna(2048)
    wide = compiled()(build(), x, ORGANISMS)[0]
    predictions, embeddings, _ = compiled()(build(small(dtype="bfloat16")), x, ORGANISMS)
    assert {leaf.dtype for leaf in jax.tree.leaves(predictions)} == {np.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(embeddings)} == {jnp.bfloat16.dtype}
    a, b = wide["rna_seq"]["scaled_predictions_128bp"], predictions["rna_seq"]["scaled_predictions_128bp"]
    assert float(jnp.linalg.norm(a - b) / jnp.linalg.norm(a)) < 0.05


def test_a_prepared_model_predicts_the_same_and_leaves_the_other_as_it_is() -> None:
    model = build()
    prepared = model.prepared()
    stage, ready = model.decoder.stages[0].conv_out.conv, prepared.decoder.stages[0].conv_out.conv
    assert stage.scale is not None and ready.scale is None
    assert ready.prepare(jnp.dtype("float32")) is None and not np.array_equal(stage.w[...], ready.w[...])
    assert model.embedder_1bp.linear.w[...] is prepared.embedder_1bp.linear.w[...]
    wanted = compiled()(model, dna(2048), ORGANISMS)[0]
    found = compiled()(prepared, dna(2048), ORGANISMS)[0]
    for one, other in zip(jax.tree.leaves(wanted), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_trunk_does_not_depend_on_the_heads() -> None:
    one, two = build(heads=(RNA,)), build(heads=HEADS)
    np.testing.assert_array_equal(
        one.decoder.stages[-1].conv_out.conv.w[...], two.decoder.stages[-1].conv_out.conv.w[...]
    )


def test_head_specs_pad_to_the_widest_organism() -> None:
    human = pd.DataFrame({"track": ["a", "b"], "nonzero_mean": [2.0, np.nan]})
    mouse = pd.DataFrame({"track": ["c"], "nonzero_mean": [4.0]})
    tracks = {"mouse": {"DNASE": mouse}, "human": {"DNASE": human, "ATAC": mouse}}
    atac, dnase = head_specs(tracks, {"human": 0, "mouse": 1})
    assert dnase == HeadSpec("DNASE", 2, ((2.0, 1.0), (4.0, 1.0)), ((True, True), (True, False)), ("..", ".."))
    assert atac == HeadSpec("ATAC", 1, ((4.0,), (1.0,)), ((True,), (False,)), (".", "."))
    with pytest.raises(InputError, match="human: no head predicts METHYLATION; choose from ATAC"):
        head_specs({"human": {"METHYLATION": human}}, {"human": 0})
    with pytest.raises(InputError, match="number them 0, 1"):
        head_specs(tracks, {"human": 0, "mouse": 2})


def test_sizes_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="pair_position_features"):
        small(max_distance=256, pair_position_features=64)
