# Published sets of variants: from each public source to one kind of table, alleles checked against the reference.
rule build_variant_set:
    """One set, with the counts of what was read, turned round and left out (paper, Methods: variant evaluations)."""
    input:
        files=variant_set_files,
        reference=lambda wildcards: f"<dataset>/reference/{settings.variant_sets[wildcards.variant_set].organism}",
    output:
        table="<dataset>/variant_sets/{variant_set}.parquet",
        counts="<dataset>/variant_sets/{variant_set}.counts.json",
    log:
        "<dataset>/logs/{variant_set}.build_variant_set.log",
    wildcard_constraints:
        variant_set=any_of(settings.variant_sets),
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=8000,
    params:
        source=lambda wildcards: plain(settings.variant_sets[wildcards.variant_set]),
        raw=f"{DATASET}/{settings.portals.raw}/variant_sets/{{variant_set}}",
        version=version("evaluation"),
    script:
        "../scripts/build_variant_set.py"
