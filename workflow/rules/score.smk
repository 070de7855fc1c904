# Variants become scores: what a model predicts for either allele, compared in the paper's recommended ways. Where it is
# known which variants are common, scores get their quantiles among those of common ones.
rule choose_background:
    """The common variants that scores are compared with: chosen once, for all models (paper, Methods: calibration)."""
    input:
        variants=lambda wildcards: settings.organisms[wildcards.organism].common_variants,
    output:
        background="<dataset>/variants/{organism}.background.vcf",
    log:
        "<dataset>/logs/{organism}.choose_background.log",
    wildcard_constraints:
        organism=any_of(CALIBRATED),
    conda:
        "../../envs/evaluate.yaml"
    params:
        background=plain(settings.scoring.background),
        version=version("scoring"),
    script:
        "../scripts/choose_background.py"


rule score_background:
    """Scores the common variants of one organism with one student; only their quantiles are kept."""
    input:
        weights="<results>/models/{model}/weights.safetensors",
        description="<results>/models/{model}/model.json",
        reference="<dataset>/reference/{organism}",
        variants="<dataset>/variants/{organism}.background.vcf",
    output:
        scores=temp("<results>/scores/{model}/{organism}.background.parquet"),
    log:
        "<results>/logs/{model}/{organism}.score_background.log",
    benchmark:
        "<results>/benchmarks/{model}.{organism}.score_background.tsv"
    wildcard_constraints:
        organism=any_of(CALIBRATED),
        model=any_of(STUDENTS),
    conda:
        "../../envs/evaluate.yaml"
    threads: settings.loop.threads or workflow.cores
    resources:
        mem_mb=4000,
    params:
        scoring=plain(settings.scoring),
        version=version("scoring"),
    script:
        "../scripts/score_variants.py"


rule calibrate_scores:
    """The quantiles of every scorer and track among common variants, beside the weights that they belong to."""
    input:
        scores="<results>/scores/{model}/{organism}.background.parquet",
    output:
        quantiles="<results>/models/{model}/quantiles.{organism}.parquet",
    log:
        "<results>/logs/{model}/{organism}.calibrate_scores.log",
    wildcard_constraints:
        organism=any_of(CALIBRATED),
        model=any_of(STUDENTS),
    conda:
        "../../envs/evaluate.yaml"
    params:
        version=version("scoring"),
    script:
        "../scripts/calibrate_scores.py"


rule score_variants:
    """Scores the planted variants of one organism with one model (paper, Methods: variant scoring)."""
    input:
        weights="<results>/models/{model}/weights.safetensors",
        description="<results>/models/{model}/model.json",
        reference="<dataset>/reference/{organism}",
        variants=lambda wildcards: settings.organisms[wildcards.organism].variants,
        quantiles=quantiles_of_model,
    output:
        scores="<results>/scores/{model}/{organism}.parquet",
    log:
        "<results>/logs/{model}/{organism}.score_variants.log",
    benchmark:
        "<results>/benchmarks/{model}.{organism}.score_variants.tsv"
    wildcard_constraints:
        organism=any_of(SCORED),
    conda:
        "../../envs/evaluate.yaml"
    threads: settings.loop.threads or workflow.cores
    resources:
        mem_mb=4000,
    params:
        scoring=plain(settings.scoring),
        version=version("scoring"),
    script:
        "../scripts/score_variants.py"
