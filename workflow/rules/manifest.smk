# Which files there are, pinned with size and checksum. A part's slice is all that its signal job reads.
rule query_portals:
    """Asks the portals which files there are and pins their answer. Nothing downstream asks again, and an answer that
    differs from the pinned one is not taken unless the pinned one is deleted."""
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
        pin=f"{DATASET}/manifest/pinned/{{organism}}.sources.tsv",
        version=version("portals"),
    script:
        "../scripts/query_portals.py"


rule pin_part:
    """Pins the source files of one part: a changed file changes this slice and no other."""
    input:
        files=files_of_part,
        sources=source_table,
    output:
        slice="<dataset>/manifest/parts/{organism}.{bundle}.{part}.tsv",
    log:
        "<dataset>/logs/{organism}.{bundle}.{part}.pin_part.log",
    conda:
        "../../envs/data.yaml"
    params:
        rows=rows_of_part,
        organism=organism_keys("assembly", "source_root"),
        tracks=lambda wildcards: settings.organisms[wildcards.organism].bundles[wildcards.bundle],
        part_tracks=settings.part_size,
        raw=f"{DATASET}/{settings.portals.raw}/{{organism}}",
        version=version("portals"),
    script:
        "../scripts/pin_part.py"


rule assemble_manifest:
    """All files and all tracks of an organism, in order, for people and for the report."""
    input:
        slices=organism_parts("<dataset>/manifest/parts/{organism}.{bundle}.{part}.tsv"),
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


rule released_tracks:
    """The tracks of the release, as a table."""
    input:
        files=reference_files("released"),
    output:
        table="<dataset>/manifest/released/{organism}.tsv",
    log:
        "<dataset>/logs/{organism}.released_tracks.log",
    conda:
        "../../envs/data.yaml"
    params:
        organism=organism_keys("released", "checksums"),
        raw=f"{DATASET}/{settings.portals.raw}/{{organism}}",
        version=version("portals"),
    script:
        "../scripts/released_tracks.py"


rule compare_manifest:
    """What was found against the release: which tracks are in both, missing or extra, by name."""
    input:
        files=source_table,
        released="<dataset>/manifest/released/{organism}.tsv",
    output:
        table="<dataset>/manifest/{organism}.compared.tsv",
        text="<dataset>/manifest/{organism}.compared.txt",
    log:
        "<dataset>/logs/{organism}.compare_manifest.log",
    # Before files are pinned, which ends where numbers of tracks differ: this says which.
    priority: 10
    conda:
        "../../envs/data.yaml"
    params:
        version=version("portals"),
    script:
        "../scripts/compare_manifest.py"
