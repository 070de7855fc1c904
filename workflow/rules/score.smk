# Variants become scores: what a model predicts for either allele, compared in the paper's recommended ways.
rule score_variants:
    """Scores the planted variants of one organism with one model (paper, Methods: variant scoring)."""
    input:
        weights="<results>/models/{model}/weights.safetensors",
        description="<results>/models/{model}/model.json",
        reference="<dataset>/reference/{organism}",
        variants=lambda wildcards: settings.organisms[wildcards.organism].variants,
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
