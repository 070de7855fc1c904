# Reference sequence and annotation, as every later stage reads them.
rule build_reference:
    """Sequence, genes, exons and masks of one organism (paper, Methods: genome assemblies and annotation)."""
    input:
        fasta=lambda wildcards: settings.organisms[wildcards.organism].fasta,
        annotation=lambda wildcards: settings.organisms[wildcards.organism].annotation,
        excluded=lambda wildcards: settings.organisms[wildcards.organism].excluded or [],
    output:
        reference=directory("<dataset>/reference/{organism}"),
    log:
        "<dataset>/logs/{organism}.build_reference.log",
    conda:
        "../../envs/data.yaml"
    params:
        organism=organism_keys("assembly", "chromosomes", "aliases"),
        version=version("genome"),
    script:
        "../scripts/build_reference.py"
