# Windows into the store, by split, with the check that nothing held out is trained on.
rule write_shards:
    """Training, validation and test windows of one model in one organism (paper, Methods: intervals and folds)."""
    input:
        frame="<dataset>/store/{organism}/frame.json",
        blocks=organism_blocks("<dataset>/store/{organism}/{bundle}.{block}.json"),
    output:
        train=directory("<dataset>/shards/{organism}/{model}/train.zarr"),
        valid=directory("<dataset>/shards/{organism}/{model}/valid.zarr"),
        test=directory("<dataset>/shards/{organism}/{model}/test.zarr"),
        leakage="<dataset>/shards/{organism}/{model}/leakage.json",
    log:
        "<dataset>/logs/{organism}.{model}.write_shards.log",
    conda:
        "../../envs/data.yaml"
    params:
        store=f"{DATASET}/store/{{organism}}.zarr",
        fold=fold_of_model,
        shards=plain(settings.shards),
        version=version("store"),
    script:
        "../scripts/write_shards.py"
