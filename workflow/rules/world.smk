# The demo's own genome and assays: real files in real formats, drawn from a grammar that is known.
if settings.world:

    rule simulate_world:
        """Writes the simulated genome, its annotation, every source file and the true rates."""
        input:
            sources=[organism.sources for organism in settings.organisms.values()],
        output:
            files=world_files(),
            truth=[directory(organism.truth) for organism in settings.organisms.values() if organism.truth],
        log:
            "<dataset>/logs/simulate_world.log",
        conda:
            "../../envs/data.yaml"
        params:
            world=plain(settings.world),
            version=version("simulate"),
        script:
            "../scripts/simulate_world.py"
