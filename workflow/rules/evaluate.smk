# Held-out predictions against what was observed, against simple baselines and, where it is known, against the truth.
rule evaluate_model:
    """Scores one model on its test windows (paper, Methods: evaluation of genome tracks)."""
    input:
        weights="<results>/models/{model}/weights.safetensors",
        description="<results>/models/{model}/model.json",
        shards=model_shards("train", "test"),
        references=references_of_model,
        truths=truths_of_model,
    output:
        tracks="<results>/evaluation/{model}/tracks.tsv",
        profiles="<results>/evaluation/{model}/profiles.tsv",
        mean_profiles="<results>/evaluation/{model}/profiles.npz",
        loci="<results>/evaluation/{model}/loci.npz",
    log:
        "<results>/logs/{model}/evaluate_model.log",
    benchmark:
        "<results>/benchmarks/{model}.evaluate_model.tsv"
    conda:
        "../../envs/evaluate.yaml"
    threads: settings.loop.threads or workflow.cores
    resources:
        mem_mb=4000,
    params:
        evaluation=plain(settings.evaluation),
        version=version("evaluation"),
    script:
        "../scripts/evaluate_model.py"


rule summarise:
    """One row per model, output type and metric, with the command that made it."""
    input:
        tables=collect("<results>/evaluation/{model}/tracks.tsv", model=settings.evaluated),
    output:
        summary="<results>/evaluation/summary.tsv",
    log:
        "<results>/logs/summarise.log",
    conda:
        "../../envs/evaluate.yaml"
    params:
        version=version("evaluation"),
    script:
        "../scripts/summarise.py"


rule evaluate_variants:
    """Tells planted variants from their controls by a model's scores, modality by modality."""
    input:
        scores="<results>/scores/{model}/{organism}.parquet",
        variants=lambda wildcards: settings.organisms[wildcards.organism].variants,
    output:
        table="<results>/evaluation/{model}/{organism}.variants.tsv",
    log:
        "<results>/logs/{model}/{organism}.evaluate_variants.log",
    conda:
        "../../envs/evaluate.yaml"
    params:
        evaluation=plain(settings.evaluation),
        version=version("evaluation"),
    script:
        "../scripts/evaluate_variants.py"


rule compare_student:
    """A student against the mean of its teachers, on the same variants."""
    input:
        student="<results>/scores/{model}/{organism}.parquet",
        teachers=lambda wildcards: [
            f"<results>/scores/{teacher}/{wildcards.organism}.parquet"
            for teacher in settings.teachers(wildcards.model)
        ],
        variants=lambda wildcards: settings.organisms[wildcards.organism].variants,
    output:
        table="<results>/evaluation/{model}/{organism}.distillation.tsv",
    log:
        "<results>/logs/{model}/{organism}.compare_student.log",
    wildcard_constraints:
        model=any_of(STUDENTS),
    conda:
        "../../envs/evaluate.yaml"
    params:
        evaluation=plain(settings.evaluation),
        version=version("evaluation"),
    script:
        "../scripts/compare_student.py"


rule gather_variants:
    """The variant tables of all models in one."""
    input:
        tables=collect(
            "<results>/evaluation/{model}/{organism}.variants.tsv", model=settings.scoring_models, organism=SCORED
        ),
    output:
        table="<results>/evaluation/variants.tsv",
    log:
        "<results>/logs/gather_variants.log",
    conda:
        "../../envs/evaluate.yaml"
    params:
        version=version("evaluation"),
    script:
        "../scripts/gather_variants.py"
