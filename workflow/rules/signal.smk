# Source files become normalised tracks, one job per block; inside it, a track whose sources are unchanged is skipped.
rule build_signal:
    """Verifies, reads, normalises and averages the source files of each track (paper, Methods: per assay)."""
    input:
        slice="<dataset>/manifest/blocks/{organism}.{bundle}.{block}.tsv",
        reference="<dataset>/reference/{organism}",
    output:
        record="<dataset>/signal/{organism}/{bundle}.{block}.json",
    log:
        "<dataset>/logs/{organism}.{bundle}.{block}.build_signal.log",
    benchmark:
        "<dataset>/benchmarks/{organism}.{bundle}.{block}.build_signal.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
    params:
        tracks=f"{DATASET}/signal/{{organism}}/{{bundle}}",
        organism=organism_keys("assembly", "aliases"),
        signal=plain(settings.signal),
        version=version("signal"),
    script:
        "../scripts/build_signal.py"
