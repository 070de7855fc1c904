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
    threads: workflow.cores
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
        tables=collect("<results>/evaluation/{model}/tracks.tsv", model=settings.models),
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
