# Windows into the store, by split, with the check that nothing held out is trained on. All models of a fold share them.
rule write_shards:
    """Training, validation and test windows of one fold in one organism (paper, Methods: intervals and folds)."""
    input:
        frame="<dataset>/store/{organism}/frame.json",
        blocks=organism_blocks("<dataset>/store/{organism}/{bundle}.{block}.json", False),
        splicing=splicing_record,
        places=places_of_windows,
    output:
        train=directory("<dataset>/shards/{organism}/{fold}/train.zarr"),
        valid=directory("<dataset>/shards/{organism}/{fold}/valid.zarr"),
        test=directory("<dataset>/shards/{organism}/{fold}/test.zarr"),
        leakage="<dataset>/shards/{organism}/{fold}/leakage.json",
    log:
        "<dataset>/logs/{organism}.{fold}.write_shards.log",
    # Before any training: which models go first is then for their own priorities to say.
    priority: 20
    conda:
        "../../envs/data.yaml"
    params:
        store=f"{DATASET}/store/{{organism}}.zarr",
        fold=lambda wildcards: plain(settings.organisms[wildcards.organism].fold(fold_of(wildcards))),
        number=fold_of,
        shards=plain(settings.shards),
        version=version("store"),
    script:
        "../scripts/write_shards.py"
