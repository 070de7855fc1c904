# One Zarr store per organism: sequence and masks once, signal in blocks of tracks.
rule store_frame:
    """Sequence and masks of the store."""
    input:
        reference="<dataset>/reference/{organism}",
    output:
        record="<dataset>/store/{organism}/frame.json",
    log:
        "<dataset>/logs/{organism}.store_frame.log",
    conda:
        "../../envs/data.yaml"
    params:
        store=f"{DATASET}/store/{{organism}}.zarr",
        layout=plain(settings.store),
        version=version("store"),
    script:
        "../scripts/store_frame.py"


rule store_block:
    """The tracks of one block side by side, genome-wide."""
    input:
        signal=parts_of_block("<dataset>/signal/{organism}/{bundle}.{part}.json"),
        frame="<dataset>/store/{organism}/frame.json",
    output:
        record="<dataset>/store/{organism}/{bundle}.{block}.json",
    log:
        "<dataset>/logs/{organism}.{bundle}.{block}.store_block.log",
    benchmark:
        "<dataset>/benchmarks/{organism}.{bundle}.{block}.store_block.tsv"
    wildcard_constraints:
        bundle="(?!SPLICE)[A-Z_]+",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
    params:
        store=f"{DATASET}/store/{{organism}}.zarr",
        tracks=f"{DATASET}/signal/{{organism}}/{{bundle}}",
        layout=plain(settings.store),
        version=version("store"),
    script:
        "../scripts/store_block.py"


rule store_splicing:
    """Splice sites, their usage and the junctions between them, over all conditions of an organism."""
    input:
        records=organism_parts("<dataset>/signal/{organism}/{bundle}.{part}.json", True),
        frame="<dataset>/store/{organism}/frame.json",
    output:
        record="<dataset>/store/{organism}/splicing.json",
    log:
        "<dataset>/logs/{organism}.store_splicing.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
    params:
        store=f"{DATASET}/store/{{organism}}.zarr",
        tracks=f"{DATASET}/signal/{{organism}}/SPLICE_JUNCTIONS",
        splicing=plain(settings.splicing),
        version=version("store"),
    script:
        "../scripts/store_splicing.py"
