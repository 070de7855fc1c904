# Which files there are, pinned with size and checksum. A block's slice is all that its signal job reads.
rule query_portals:
    """Asks the portals which files there are and pins their answer. Nothing downstream asks again: to ask anew, delete
    the table or run `snakemake --forcerun query_portals`."""
    input:
        catalog=world_catalog(),
    output:
        sources="<dataset>/manifest/{organism}.sources.tsv",
    log:
        "<dataset>/logs/{organism}.query_portals.log",
    conda:
        "../../envs/data.yaml"
    params:
        queries=lambda wildcards: [plain(query) for query in settings.queries[wildcards.organism]],
        organism=organism_keys("assembly", "bundles"),
        version=version("portals"),
    script:
        "../scripts/query_portals.py"


rule pin_block:
    """Pins the source files of one block: a changed file changes this slice and no other."""
    input:
        files=files_of_block,
        sources=source_table,
    output:
        slice="<dataset>/manifest/blocks/{organism}.{bundle}.{block}.tsv",
    log:
        "<dataset>/logs/{organism}.{bundle}.{block}.pin_block.log",
    conda:
        "../../envs/data.yaml"
    params:
        rows=rows_of_block,
        organism=organism_keys("assembly", "source_root"),
        tracks=lambda wildcards: settings.organisms[wildcards.organism].bundles[wildcards.bundle],
        block_tracks=settings.store.block_tracks,
        raw=f"{DATASET}/{settings.portals.raw}/{{organism}}",
        version=version("portals"),
    script:
        "../scripts/pin_block.py"


rule assemble_manifest:
    """All files and all tracks of an organism, in order, for people and for the report."""
    input:
        slices=organism_blocks("<dataset>/manifest/blocks/{organism}.{bundle}.{block}.tsv"),
    output:
        files="<dataset>/manifest/{organism}.files.tsv",
        tracks="<dataset>/manifest/{organism}.tracks.tsv",
    log:
        "<dataset>/logs/{organism}.assemble_manifest.log",
    conda:
        "../../envs/data.yaml"
    params:
        version=version("portals"),
    script:
        "../scripts/assemble_manifest.py"
