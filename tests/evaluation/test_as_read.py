"""A real store and a real model: windows in pieces, tracks of some biosamples, and bins of the model's own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from flax import nnx
from small_store import SmallStore

from megabase.evaluation.config import EvaluationConfig
from megabase.evaluation.tracks import evaluate
from megabase.model import ModelConfig
from megabase.model.config import NetworkConfig
from megabase.model.network import AlphaGenome
from megabase.model.spec import at_resolutions, head_specs
from megabase.model.weights import export
from megabase.store.reader import Shards

NARROW = dataclasses.replace(
    NetworkConfig.demo(), channels=4, channel_step=0, blocks=1, heads=1, key_channels=4, value_channels=4,
    pair_channels=4, pair_heads=1, pair_position_features=4, junction_channels=4,
)  # fmt: skip
OWN = {"only": ["CL:caps", "CL:factor", "CL:tissue1"], "without": []}
READ = {"CAGE", "CHIP_TF", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS"}
"""Splice sites belong to no biosample."""


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_model_is_judged_on_what_it_reads(tmp_path: Path, pieces: int) -> None:
    store = SmallStore(tmp_path)
    store.write_splicing(2)
    splits = store.shards()
    test = Shards.open(splits["test"]).of_biosamples(**OWN)
    assert set(test.tracks) == READ
    heads = at_resolutions(head_specs({"made": test.tracks}, {"made": 0}), {"cage": [8], "chip_tf": [32]})
    model = tmp_path / "models/narrow"
    described = {
        "organisms": {"made": 0},
        "tracks": {"made": {bundle: table.to_dict("records") for bundle, table in test.tracks.items()}},
        "window_length": test.window_length // pieces,
        "split_hashes": {"made": test.split_hash},
        "fold": 0,
        "biosamples": OWN,
    }
    export(model, AlphaGenome(ModelConfig(NARROW, heads, 1), rngs=nnx.Rngs(0)), described)
    config = EvaluationConfig(bootstrap=2, start_flank=256, baseline_windows=[128], reverse_complement=False)
    evaluate(
        model,
        {"made": splits},
        {"made": tmp_path / "reference"},
        {},
        tmp_path / "out",
        config,
        "again",
        pieces=pieces,
        name="narrow_as_read",
    )
    table = pd.read_csv(tmp_path / "out/tracks.tsv", sep="\t")
    assert set(table["model"]) == {"narrow_as_read"}
    bins = {name: set(rows["resolution"]) for name, rows in table.groupby("output_type")}
    assert bins.pop("ALL") == {4096} and bins == {"CAGE": {1, 8, 128}, "CHIP_TF": {32, 128}}
    own = table[(table["predictor"] == "model") & (table["metric"] == "pearson")]
    assert set(own["track"]) == {"caps", "factor"} and own["value"].notna().all()
    share = table[table["metric"] == "held_out_share"].iloc[0]
    assert (share["value"], share["n"]) == (1, len(test)), "whole windows are checked"
    # The positions that count are the same however windows are read.
    counted = own.set_index(["output_type", "resolution", "strand"])["n"]
    usable = sum(int(test.read(i).masks["cage"][:, 0].sum()) for i in range(len(test)))
    assert counted["CAGE", 1, "+"] == usable
