# Megabase: AlphaGenome from raw data. This file is the table of contents; each rule file is one stage, in DAG order.
from snakemake.utils import min_version

min_version("9.22")


configfile: "config/default.yaml"


# The demo is what runs when nothing else is asked for; any --configfile takes its place, never lies on top of it.
if not workflow.config_settings.configfiles:

    configfile: "config/demo.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/world.smk"
include: "workflow/rules/reference.smk"
include: "workflow/rules/manifest.smk"
include: "workflow/rules/signal.smk"
include: "workflow/rules/store.smk"
include: "workflow/rules/shards.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/variant_sets.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/benchmarks.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    manifest,
    signal,
    store,
    train,
    variant_sets,
    quantiles,
    evaluate,
    ablations,
    report,


rule all:
    default_target: True
    input:
        "<results>/report/index.html",
        quantile_tables(),


rule manifest:
    """Every source file with its size and checksum, every track, and how they compare with the release."""
    input:
        collect("<dataset>/manifest/{organism}.tracks.tsv", organism=settings.organisms),
        compared_tracks(),


rule signal:
    """Every track, normalised and checked."""
    input:
        part_files("<dataset>/signal/{organism}/{bundle}.{part}.json"),
        collect("<dataset>/quality/{organism}.tsv", organism=settings.organisms),


rule store:
    """The store and the windows of every model."""
    input:
        block_files("<dataset>/store/{organism}/{bundle}.{block}.json", kinds=(False,)),
        shard_files(),


rule train:
    """The weights of every model."""
    input:
        collect("<results>/models/{model}/model.json", model=settings.trained),


rule variant_sets:
    """The published sets of variants that the config names."""
    input:
        collect("<dataset>/variant_sets/{variant_set}.parquet", variant_set=settings.variant_sets),


rule quantiles:
    """What makes scores of tracks comparable: their quantiles among common variants, where those are given."""
    input:
        quantile_tables(),


rule evaluate:
    """Every metric on held-out windows, with baselines; planted variants, where there are any."""
    input:
        "<results>/evaluation/summary.tsv",
        ["<results>/evaluation/variants.tsv"] if SCORED else [],
        "<results>/evaluation/table_tracks.tsv",
        "<results>/evaluation/table_variants.tsv",


rule ablations:
    """Models against the one that they are like, and students against their teachers; no others are trained."""
    input:
        ["<results>/evaluation/compared.tsv"] if settings.bases else [],
        collect("<results>/evaluation/{student}/{organism}.distillation.tsv", student=STUDIED, organism=SCORED),


rule report:
    """One page to read."""
    input:
        "<results>/report/index.html",
