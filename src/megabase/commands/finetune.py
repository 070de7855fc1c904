"""`megabase finetune`: another model's weights, trained further on windows of one's own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pydantic

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.launch.task import Job
from megabase.model.config import NetworkConfig
from megabase.model.weights import DESCRIPTION
from megabase.store.shards import by_organism
from megabase.training.config import LoopConfig, TrainedModel, TrainingConfig
from megabase.training.presets import PRESETS, PresetName

SPLITS = ("train", "valid", "test")


def finetune(
    weights: Path,
    shards: Sequence[Path],
    out: Path,
    *,
    heads_only: bool = False,
    recipe: Mapping[str, int | float],
    preset: PresetName | None = None,
    resolution: int | None = None,
    only: Sequence[str] = (),
) -> Path:
    """Trains the model in `weights` on the windows in `shards` (folders of one fold, one for each organism) and gives
    the folder of the new one. Checkpoints and logs are beside it, and a second call goes on from them.

    `recipe`: keys of `training` with other values than the preset has, or `TrainingConfig`. `resolution`: bin, in bp,
    of all tracks along the genome. `only`: ontology terms of the biosamples whose tracks are learnt, if not all.
    Raises InputError for a folder without windows or without a model.
    """
    files = [folder / f"{split}.zarr" for folder in shards for split in SPLITS]
    if absent := [path for path in files if not path.exists()]:
        raise InputError("no windows here", where=absent[0], remedy="make them first: snakemake store")
    try:
        network = json.loads((weights / DESCRIPTION).read_text())["network"]
    except FileNotFoundError as error:
        raise InputError("no model here", where=error.filename, remedy="give the folder of a model") from None
    splits = by_organism(files)
    own = PRESETS[preset] if preset else {"resolutions": {}, "training": {}}
    bins = {bundle.head: [resolution] for bundle in BUNDLES.values() if bundle.kind == "signal"} if resolution else {}
    try:
        config = TrainingConfig(**own["training"] | recipe | ({"trunk_heads": []} if heads_only else {}))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = " ".join(["finetune", *(str(part) for part in first["loc"])])
        raise InputError(first["msg"], where=where, remedy="see megabase finetune --help") from None
    job = Job(
        out.name,
        TrainedModel(
            organisms=list(splits), fold=_fold(shards[0]), resolutions=own["resolutions"] | bins, only=list(only)
        ),
        config,
        LoopConfig(),
        pydantic.TypeAdapter(NetworkConfig).validate_python(network),
        splits,
        out / "checkpoints",
        out / "logs",
        out,
        start=weights,
    )
    job.run()
    return out


def _fold(folder: Path) -> int | Literal["all"]:
    """The fold that a folder of windows is named after."""
    if folder.name == "all_folds":
        return "all"
    if found := re.fullmatch(r"fold_(\d+)", folder.name):
        return int(found[1])
    remedy = "give a folder such as data/demo/shards/human/fold_0"
    raise InputError("no folder of a fold's windows", where=folder, remedy=remedy)
