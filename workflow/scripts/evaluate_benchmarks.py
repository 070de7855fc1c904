"""Computes benchmarks: one, or all of a table."""

from pathlib import Path

from megabase.config import parse
from megabase.evaluation.benchmarks.results import Inputs, evaluate_benchmarks
from megabase.logs import logged

config = parse(snakemake.config)
own, given = snakemake.params.own, snakemake.input
names = [row["id"] for row in own["rows"]]
organisms = [Path(path).stem for path in given.get("scores", [])]
sets = sorted({row["set"].partition(":")[0] for row in own["rows"]} & set(config.benchmark_sets))
with logged(snakemake.log[0]):
    evaluate_benchmarks(
        names,
        Inputs(
            demo=own["demo"],
            models={Path(path).parent.name: Path(path) for path in given.get("models", [])},
            measures={Path(path).parent.name: Path(path) for path in given.get("measures", [])},
            student=own["student"],
            scores=dict(zip(organisms, map(Path, given.get("scores", [])), strict=True)),
            planted=dict(zip(organisms, map(Path, given.get("planted", [])), strict=True)),
            references={Path(path).name: Path(path) for path in given.get("references", [])},
            sets={name: Path(config.benchmark_sets[name]) for name in sets},
            set_scores={Path(path).stem: Path(path) for path in given.get("set_scores", [])},
            predictions={
                name: {key: Path(path) for key, path in config.benchmarks.predictions.get(name, {}).items()}
                for name in sets
            },
            resamples=config.benchmarks.resamples,
        ),
        Path(snakemake.output.table),
    )
