"""A checkpoint in the released layout becomes a model of ours that predicts the same."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from megabase.bundles import BUNDLES
from megabase.commands.import_official import import_official
from megabase.errors import InputError
from megabase.model import ModelConfig
from megabase.model.config import NetworkConfig
from megabase.model.network import AlphaGenome
from megabase.model.official import to_official
from megabase.scoring.predict import Predictor

ROWS = {"RNA_SEQ": ("plus", "minus", "Padding"), "SPLICE_SITES": ("donor", "acceptor", "donor", "acceptor", "Padding")}
STRANDS = {
    "RNA_SEQ": ("positive", "negative", "unstranded"),
    "SPLICE_SITES": ("positive", "positive", "negative", "negative", "unstranded"),
}


@pytest.fixture
def config(tmp_path: Path) -> ModelConfig:
    """A narrow model of two heads, and its tables in the released layout."""
    lines = ["output_type\tname\tstrand\tnonzero_mean"]
    lines += [
        f"{bundle}\t{name}\t{strand}\t{2.0 if bundle in 'RNA_SEQ' and name != 'Padding' else ''}"
        for bundle in ROWS
        for name, strand in zip(ROWS[bundle], STRANDS[bundle], strict=True)
    ]
    (tmp_path / "tracks").mkdir()
    for organism in ("human", "mouse"):
        (tmp_path / "tracks" / f"{organism}.tsv").write_text("\n".join(lines) + "\n")
    paper = ModelConfig.paper(tmp_path / "tracks")
    assert {BUNDLES[spec.bundle].name: spec.tracks for spec in paper.heads} == {"RNA_SEQ": 3, "SPLICE_SITES": 5}
    small = {"channels": 4, "channel_step": 2, "blocks": 1, "heads": 2, "key_channels": 4, "value_channels": 4}
    pairs = {"pair_channels": 4, "pair_heads": 2, "pair_position_features": 4, "junction_channels": 4}
    return ModelConfig(NetworkConfig(**small, **pairs, dtype="float32", remat="nothing"), paper.heads, 2)  # type: ignore[arg-type]


def write_checkpoint(model: AlphaGenome, folder: Path) -> None:
    """Parameters and state by module, as they were released."""
    trees: list[dict[str, dict[str, np.ndarray]]] = []
    for arrays in to_official(model):
        trees.append({})
        for path, array in arrays.items():
            module, name = path.rsplit("/", 1)
            trees[-1].setdefault(module, {})[name] = array
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder, {"params": trees[0], "state": trees[1]})


def test_the_imported_model_predicts_the_same(tmp_path: Path, config: ModelConfig) -> None:
    model = AlphaGenome(config, rngs=nnx.Rngs(1))
    write_checkpoint(model, tmp_path / "released")
    import_official(tmp_path / "released", tmp_path / "tracks", tmp_path / "model", config)
    predictor = Predictor.load(tmp_path / "model")
    codes = np.random.default_rng(0).integers(0, 4, (1, 2048)).astype(np.uint8)
    found = predictor.predict(codes, "mouse", reverse_complement_average=False)
    expected, _ = nnx.jit(lambda model, dna: model(dna, jnp.ones(1, int)))(model, jax.nn.one_hot(codes, 4))
    assert np.allclose(found["rna_seq"][128], expected["rna_seq"]["predictions_128bp"][..., :2], rtol=1e-4)
    sites = expected["splice_sites_classification"]["predictions"][..., :4]
    assert np.allclose(found["splice_sites_classification"][1], sites, rtol=1e-4)
    both = predictor.predict(codes, "mouse")
    turned = predictor.predict(3 - codes[:, ::-1], "mouse")
    assert np.allclose(
        both["splice_sites_classification"][1], turned["splice_sites_classification"][1][:, ::-1, [2, 3, 0, 1]]
    )


def test_other_folders_are_refused(tmp_path: Path, config: ModelConfig) -> None:
    with pytest.raises(InputError, match="nothing: no such folder"):
        import_official(tmp_path / "nothing", tmp_path / "tracks", tmp_path / "model", config)
    with pytest.raises(InputError, match="not an Orbax checkpoint"):
        import_official(tmp_path / "tracks", tmp_path / "tracks", tmp_path / "model", config)
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "other", {"weights": np.zeros(3)})
    with pytest.raises(InputError, match="no array of alphagenome"):
        import_official(tmp_path / "other", tmp_path / "tracks", tmp_path / "model", config)
    assert not (tmp_path / "model").exists()
