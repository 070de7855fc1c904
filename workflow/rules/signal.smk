# Source files become normalised tracks, one job per block; inside it, a track whose sources are unchanged is skipped.
rule build_signal:
    """Fetches, verifies, reads, normalises and averages the source files of each track (paper, Methods: per assay)."""
    input:
        slice="<dataset>/manifest/blocks/{organism}.{bundle}.{block}.tsv",
        reference="<dataset>/reference/{organism}",
    output:
        record="<dataset>/signal/{organism}/{bundle}.{block}.json",
    log:
        "<dataset>/logs/{organism}.{bundle}.{block}.build_signal.log",
    benchmark:
        "<dataset>/benchmarks/{organism}.{bundle}.{block}.build_signal.tsv"
    wildcard_constraints:
        bundle="(?!SPLICE)[A-Z_]+",
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


rule index_splices:
    """Index of one genome and its annotated junctions for STAR (paper, Methods: splicing)."""
    input:
        reference="<dataset>/reference/{organism}",
    output:
        index=directory("<dataset>/star/{organism}"),
    log:
        "<dataset>/logs/{organism}.index_splices.log",
    conda:
        "../../envs/data.yaml"
    threads: workflow.cores
    resources:
        mem_mb=3000,
    params:
        splicing=plain(settings.splicing),
        version=version("signal"),
    script:
        "../scripts/index_splices.py"


rule count_junctions:
    """Splice junctions and the usage of their sites: reads aligned again by STAR, or open junction tables."""
    input:
        slice="<dataset>/manifest/blocks/{organism}.SPLICE_JUNCTIONS.{block}.tsv",
        reference="<dataset>/reference/{organism}",
        index="<dataset>/star/{organism}",
    output:
        record="<dataset>/signal/{organism}/SPLICE_JUNCTIONS.{block}.json",
    log:
        "<dataset>/logs/{organism}.SPLICE_JUNCTIONS.{block}.count_junctions.log",
    benchmark:
        "<dataset>/benchmarks/{organism}.SPLICE_JUNCTIONS.{block}.count_junctions.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=3000,
    params:
        tracks=f"{DATASET}/signal/{{organism}}/SPLICE_JUNCTIONS",
        organism=organism_keys("assembly", "aliases"),
        splicing=plain(settings.splicing),
        version=version("signal"),
    script:
        "../scripts/count_junctions.py"
