"""Writes the page of the run."""

from pathlib import Path

from megabase.config import parse
from megabase.logs import logged
from megabase.report.page import write_report

config = parse(snakemake.config)
dataset = Path(config.data) / config.dataset
run = Path(config.results) / config.run
with logged(snakemake.log[0]):
    write_report(
        title=config.run,
        config=snakemake.config,
        manifests={
            name: (dataset / f"manifest/{name}.files.tsv", dataset / f"manifest/{name}.tracks.tsv")
            for name in config.organisms
        },
        records=[Path(path) for path in snakemake.input.records],
        leakage=[Path(path) for path in snakemake.input.leakage],
        metrics={model: run / "logs" / model / "metrics.jsonl" for model in config.trained},
        evaluations={model: run / "evaluation" / model for model in config.evaluated},
        summary=Path(snakemake.input.summary),
        variants=[Path(path) for path in snakemake.input.variants],
        distillation=[Path(path) for path in snakemake.input.distillation],
        ablations=[Path(path) for path in snakemake.input.ablations],
        comparison=[Path(path) for path in snakemake.input.comparison],
        models={model: run / "models" / model for model in config.trained},
        references={name: dataset / "reference" / name for name in config.organisms},
        benchmarks=[dataset / "benchmarks", run / "benchmarks"],
        checks={Path(path).stem: Path(path) for path in snakemake.input.quality},
        compared={Path(path).name.split(".")[0]: Path(path) for path in snakemake.input.compared},
        out=Path(snakemake.output.page),
    )
