# Reference sequence and annotation, as every later stage reads them.
rule build_reference:
    """Sequence, genes, exons, polyA sites and masks of one organism (paper, Methods: assemblies and annotation)."""
    input:
        files=reference_files(*REFERENCE_FILES),
        catalog=world_catalog(),
    output:
        reference=directory("<dataset>/reference/{organism}"),
    log:
        "<dataset>/logs/{organism}.build_reference.log",
    conda:
        "../../envs/data.yaml"
    params:
        organism=organism_keys("assembly", "checksums", "chromosomes", "aliases", *REFERENCE_FILES),
        raw=f"{DATASET}/{settings.portals.raw}/{{organism}}",
        version=version("genome"),
    script:
        "../scripts/build_reference.py"
