"""`megabase check`: is this config sound, and what does it plan?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from megabase.config import Config

_DEFAULTS = Path("config/default.yaml")


def layered(paths: tuple[Path, ...]) -> Config:
    """The config of these layers, over `config/default.yaml` of the working directory as in the workflow."""
    from megabase.config import load

    below = () if not _DEFAULTS.exists() or _DEFAULTS in paths else (_DEFAULTS,)
    return load((*below, *paths))


def check(paths: tuple[Path, ...]) -> Iterator[str]:
    """Lines that say what the layers plan, after every check that needs no source file to be read.

    Raises InputError for the first thing that is wrong in a config or a source table.
    """
    config = layered(paths)
    yield f"dataset {config.dataset}: {config.data}/{config.dataset}"
    yield f"run {config.run}: {config.results}/{config.run}"
    yield from _organisms(config)
    yield from _models(config)


def _organisms(config: Config) -> Iterator[str]:
    from megabase.portals.sources import block_files, read_sources

    for name, organism in config.organisms.items():
        blocks = config.blocks(name) + config.blocks(name, junctions=True)
        if organism.sources:
            files = read_sources(Path(organism.sources), Path(organism.source_root))
            for bundle, block in blocks:
                block_files(organism, bundle, block, config.store.block_tracks)
            whence = f"{_count(len(files), 'row')} of {organism.sources}"
        else:
            asked = config.queries[name]
            portals = ", ".join(dict.fromkeys(query.portal for query in asked))
            whence = f"{len(asked)} {'query' if len(asked) == 1 else 'queries'} of {portals}"
        tracks = sum(organism.bundles.values())
        yield (
            f"organism {name}: {organism.assembly}, {_count(len(organism.chromosomes), 'chromosome')}, "
            f"{_count(tracks, 'track')} in {_count(len(blocks), 'block')} from {whence}"
        )
        for bundle, number in organism.bundles.items():
            yield f"  {bundle}: {_count(number, 'track')}"
        for number, fold in enumerate(organism.divisions):
            splits = (("train", fold.train), ("valid", fold.valid), ("test", fold.test))
            yield f"  fold {number}: " + "; ".join(f"{split} {', '.join(regions)}" for split, regions in splits)


def _models(config: Config) -> Iterator[str]:
    for name, model in config.trained.items():
        recipe = config.recipe(name)
        fold = "all folds" if model.fold == "all" else f"fold {model.fold}"
        taught = f", taught by {', '.join(config.teachers(name))}" if model.teachers else ""
        yield (
            f"model {name}: {', '.join(model.organisms)}, {fold}{taught}; {recipe.steps:,} steps of "
            f"{_count(recipe.batch, 'window')} of {config.shards.window:,} bp"
        )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
