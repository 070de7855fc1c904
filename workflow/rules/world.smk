# The demo's own genomes and assays: real files in real formats, drawn from a grammar that is known.
if settings.world:

    rule simulate_world:
        """Writes the simulated genomes, the files that the loopback portals serve, and the truth behind them."""
        input:
            experiments=[genome.experiments for genome in settings.world.organisms.values()],
        output:
            catalog=f"{settings.source_root}/portals/catalog.json",
            truth=[directory(organism.truth) for organism in settings.organisms.values() if organism.truth],
            variants=[organism.variants for organism in settings.organisms.values() if organism.variants],
        log:
            "<dataset>/logs/simulate_world.log",
        benchmark:
            "<dataset>/benchmarks/simulate_world.tsv"
        conda:
            "../../envs/data.yaml"
        resources:
            mem_mb=3000,
        params:
            world=plain(settings.world),
            version=version("simulate"),
        script:
            "../scripts/simulate_world.py"

    rule draw_common_variants:
        """Writes what a population has of neutral variants, with their frequencies."""
        input:
            reference="<dataset>/reference/{organism}",
        output:
            variants=f"{settings.source_root}/{{organism}}/population.vcf",
        log:
            "<dataset>/logs/{organism}.draw_common_variants.log",
        conda:
            "../../envs/data.yaml"
        params:
            seed=settings.world.seed,
            version=version("simulate"),
        script:
            "../scripts/draw_common_variants.py"
