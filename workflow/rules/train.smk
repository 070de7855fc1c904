# Windows become weights. Checkpoints are not declared: Snakemake deletes declared outputs of interrupted jobs.
rule train_model:
    """Trains one model, or goes on from its newest checkpoint (paper, Methods: pretraining)."""
    input:
        shards=model_shards("train", "valid"),
        start=start_files,
    output:
        weights="<results>/models/{model}/weights.safetensors",
        description="<results>/models/{model}/model.json",
    log:
        "<results>/logs/{model}/train_model.log",
    benchmark:
        "<results>/benchmarks/{model}.train_model.tsv"
    wildcard_constraints:
        model=any_of(model for model in settings.trained if model not in STUDENTS + TEACHERS + FINETUNED),
    # The longest jobs first: what is short fills the cores at the end.
    priority: 2
    retries: settings.loop.retries
    conda:
        "../../envs/train.yaml"
    threads: settings.loop.threads or workflow.cores
    resources:
        mem_mb=4000,
    params:
        checkpoints=f"{RESULTS}/checkpoints/{{model}}",
        logs=f"{RESULTS}/logs/{{model}}",
        trained=lambda wildcards: plain(settings.trained[wildcards.model]),
        recipe=lambda wildcards: plain(settings.recipe(wildcards.model)),
        network=plain(settings.model),
        version=version("training"),
    script:
        "../scripts/train_model.py"


# The student waits for its teachers: they go first.
use rule train_model as train_teacher with:
    wildcard_constraints:
        model=any_of(TEACHERS),
    priority: 10


use rule train_model as distil_student with:
    input:
        shards=model_shards("train", "valid"),
        start=start_files,
        teachers=teacher_files,
    wildcard_constraints:
        model=any_of(STUDENTS),
    priority: 5


use rule train_model as finetune_model with:
    wildcard_constraints:
        model=any_of(FINETUNED),
