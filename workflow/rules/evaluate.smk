# Held-out predictions against what was observed, against simple baselines and, where it is known, against the truth.
rule evaluate_model:
    """Scores one model on its test windows, or on pieces of them (paper, Methods: evaluation of genome tracks)."""
    input:
        model=evaluated(model_files),
        shards=evaluated(model_shards("train", "test")),
        references=evaluated(references_of_model),
        truths=evaluated(truths_of_model),
    output:
        tracks="<results>/evaluation/{evaluation}/tracks.tsv",
        measures="<results>/evaluation/{evaluation}/measures.tsv",
        profiles="<results>/evaluation/{evaluation}/profiles.tsv",
        mean_profiles="<results>/evaluation/{evaluation}/profiles.npz",
        loci="<results>/evaluation/{evaluation}/loci.npz",
    log:
        "<results>/logs/{evaluation}/evaluate_model.log",
    benchmark:
        "<results>/benchmarks/{evaluation}.evaluate_model.tsv"
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


rule compare_models:
    """Ablations and tuned models, each against the model that it is like."""
    input:
        tables=collect(
            "<results>/evaluation/{model}/tracks.tsv", model=dict.fromkeys([*settings.bases, *settings.bases.values()])
        ),
    output:
        table="<results>/evaluation/compared.tsv",
    log:
        "<results>/logs/compare_models.log",
    conda:
        "../../envs/evaluate.yaml"
    params:
        bases=settings.bases,
        version=version("evaluation"),
    script:
        "../scripts/compare_models.py"


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
    """A student, or the mean of several that differ in their seeds, against the mean of its teachers, on the same
    variants."""
    input:
        students=lambda wildcards: scores_of(STUDENT_GROUPS[wildcards.student], wildcards.organism),
        teachers=lambda wildcards: scores_of(
            settings.teachers(STUDENT_GROUPS[wildcards.student][0]), wildcards.organism
        ),
        variants=lambda wildcards: settings.organisms[wildcards.organism].variants,
    output:
        table="<results>/evaluation/{student}/{organism}.distillation.tsv",
    log:
        "<results>/logs/{student}/{organism}.compare_student.log",
    wildcard_constraints:
        student=any_of(STUDENT_GROUPS),
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
