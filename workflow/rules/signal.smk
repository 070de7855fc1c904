# Source files become normalised tracks, one job per part; inside it, a track whose sources are unchanged is skipped.
rule build_signal:
    """Fetches, verifies, reads, normalises and averages the source files of each track (paper, Methods: per assay)."""
    input:
        slice="<dataset>/manifest/parts/{organism}.{bundle}.{part}.tsv",
        reference="<dataset>/reference/{organism}",
    output:
        record="<dataset>/signal/{organism}/{bundle}.{part}.json",
    log:
        "<dataset>/logs/{organism}.{bundle}.{part}.build_signal.log",
    benchmark:
        "<dataset>/benchmarks/{organism}.{bundle}.{part}.build_signal.tsv"
    wildcard_constraints:
        bundle="(?!SPLICE)[A-Z_]+",
    conda:
        "../../envs/data.yaml"
    resources:
        # A chromosome of float64, a few times over.
        mem_mb=memory(2000, per_base=2.5),
    params:
        tracks=f"{DATASET}/signal/{{organism}}/{{bundle}}",
        organism=organism_keys("assembly", "aliases"),
        signal=plain(settings.signal),
        version=version("signal"),
    script:
        "../scripts/build_signal.py"


rule check_signal:
    """Totals, zeros, means, chromosomes and strands of every track; what fails is named, not dropped."""
    input:
        records=organism_parts("<dataset>/signal/{organism}/{bundle}.{part}.json", False),
        reference="<dataset>/reference/{organism}",
        manifest=released_manifest,
    output:
        table="<dataset>/quality/{organism}.tsv",
    log:
        "<dataset>/logs/{organism}.check_signal.log",
    benchmark:
        "<dataset>/benchmarks/{organism}.check_signal.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=memory(1000, per_base=1.5),
    params:
        tracks=f"{DATASET}/signal/{{organism}}",
        total=settings.signal.total,
        version=version("evaluation"),
    script:
        "../scripts/check_signal.py"


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
        # STAR holds its index: about ten bytes for each base.
        mem_mb=memory(3000, per_base=11),
    params:
        splicing=plain(settings.splicing),
        version=version("signal"),
    script:
        "../scripts/index_splices.py"


rule count_junctions:
    """Splice junctions and the usage of their sites: reads aligned again by STAR, or open junction tables."""
    input:
        slice="<dataset>/manifest/parts/{organism}.SPLICE_JUNCTIONS.{part}.tsv",
        reference="<dataset>/reference/{organism}",
        index="<dataset>/star/{organism}",
    output:
        record="<dataset>/signal/{organism}/SPLICE_JUNCTIONS.{part}.json",
    log:
        "<dataset>/logs/{organism}.SPLICE_JUNCTIONS.{part}.count_junctions.log",
    benchmark:
        "<dataset>/benchmarks/{organism}.SPLICE_JUNCTIONS.{part}.count_junctions.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        # STAR holds its index: about ten bytes for each base.
        mem_mb=memory(3000, per_base=11),
    params:
        tracks=f"{DATASET}/signal/{{organism}}/SPLICE_JUNCTIONS",
        organism=organism_keys("assembly", "aliases"),
        splicing=plain(settings.splicing),
        version=version("signal"),
    script:
        "../scripts/count_junctions.py"
