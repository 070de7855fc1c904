# The paper's evaluations, a row each in resources/benchmarks.tsv: `snakemake benchmark_ID`, and two tables of all.
wildcard_constraints:
    benchmark=any_of(BENCHMARKS),
    variant_set=any_of(settings.benchmark_sets),


rule evaluate_benchmark:
    """One benchmark: the model's value, others' on the same data, and the paper's."""
    input:
        unpack(lambda wildcards: benchmark_files([wildcards.benchmark])),
    output:
        table="<results>/evaluation/benchmarks/{benchmark}.tsv",
    log:
        "<results>/logs/benchmarks/{benchmark}.log",
    conda:
        "../../envs/evaluate.yaml"
    params:
        own=lambda wildcards: benchmark_params([wildcards.benchmark]),
        version=version("evaluation"),
    script:
        "../scripts/evaluate_benchmarks.py"


use rule evaluate_benchmark as table_tracks with:
    input:
        **benchmark_files(of_kind("track")),
    output:
        table="<results>/evaluation/table_tracks.tsv",
    log:
        "<results>/logs/table_tracks.log",
    params:
        own=benchmark_params(of_kind("track")),
        version=version("evaluation"),


use rule evaluate_benchmark as table_variants with:
    input:
        **benchmark_files(of_kind("variant")),
    output:
        table="<results>/evaluation/table_variants.tsv",
    log:
        "<results>/logs/table_variants.log",
    params:
        own=benchmark_params(of_kind("variant")),
        version=version("evaluation"),


# The command of each: a target of its own, so that it can be asked for by name.
for _name in BENCHMARKS:

    rule:
        name:
            f"benchmark_{_name}"
        input:
            f"<results>/evaluation/benchmarks/{_name}.tsv",
        localrule: True


rule write_set_vcf:
    """The variants of a set, to be scored like any others."""
    input:
        variants=lambda wildcards: settings.benchmark_sets[wildcards.variant_set],
    output:
        vcf="<results>/scores/sets/{variant_set}.vcf",
    log:
        "<results>/logs/sets/{variant_set}.write_set_vcf.log",
    conda:
        "../../envs/evaluate.yaml"
    params:
        version=version("evaluation"),
    script:
        "../scripts/write_set_vcf.py"


# Pairs of elements and genes have no alleles: their score is a gradient.
LINKED = {one.source_set for one in BENCHMARKS.values() if one.family == "enhancers"}


rule score_set:
    """Scores a set of variants with the student."""
    input:
        weights="<results>/models/{model}/weights.safetensors",
        description="<results>/models/{model}/model.json",
        reference=f"<dataset>/reference/{next(iter(settings.organisms))}",
        variants="<results>/scores/sets/{variant_set}.vcf",
    output:
        scores="<results>/scores/{model}/sets/{variant_set}.parquet",
    log:
        "<results>/logs/{model}/{variant_set}.score_set.log",
    benchmark:
        "<results>/benchmarks/{model}.{variant_set}.score_set.tsv"
    wildcard_constraints:
        variant_set=any_of(set(settings.benchmark_sets) - LINKED),
    conda:
        "../../envs/evaluate.yaml"
    threads: settings.loop.threads or workflow.cores
    resources:
        mem_mb=4000,
    params:
        scoring=plain(settings.scoring),
        organism=next(iter(settings.organisms)),
        version=version("scoring"),
    script:
        "../scripts/score_variants.py"


rule link_set:
    """Scores the pairs of a set by what the gene's expression hangs on (paper, figure 5: enhancer-gene links)."""
    input:
        weights="<results>/models/{model}/weights.safetensors",
        description="<results>/models/{model}/model.json",
        reference=f"<dataset>/reference/{next(iter(settings.organisms))}",
        pairs=lambda wildcards: settings.benchmark_sets[wildcards.variant_set],
    output:
        pairs=temp("<results>/scores/{model}/sets/{variant_set}.pairs.tsv"),
        scores="<results>/scores/{model}/sets/{variant_set}.parquet",
        skipped="<results>/scores/{model}/sets/{variant_set}.skipped.tsv",
    log:
        "<results>/logs/{model}/{variant_set}.link_set.log",
    benchmark:
        "<results>/benchmarks/{model}.{variant_set}.link_set.tsv"
    wildcard_constraints:
        variant_set=any_of(set(settings.benchmark_sets) & LINKED),
    conda:
        "../../envs/evaluate.yaml"
    threads: settings.loop.threads or workflow.cores
    resources:
        mem_mb=4000,
    params:
        organism=next(iter(settings.organisms)),
        tracks="EFO:0002067",  # K562, the cells that the pairs were measured in
        version=version("scoring"),
    script:
        "../scripts/link_set.py"


if "tal1" in settings.benchmark_sets and STUDENT:

    rule case_tal1:
        """The variants near TAL1 by every modality (paper, figure 6)."""
        input:
            variants=settings.benchmark_sets["tal1"],
            scores=f"<results>/scores/{STUDENT}/sets/tal1.parquet",
        output:
            table="<results>/evaluation/case_tal1.tsv",
        log:
            "<results>/logs/case_tal1.log",
        conda:
            "../../envs/evaluate.yaml"
        params:
            version=version("evaluation"),
        script:
            "../scripts/evaluate_case.py"


if "e2g" in settings.benchmark_sets:

    rule fact_e2g_distance:
        """How many validated enhancer-gene pairs lie within reach of a window of one megabase."""
        input:
            variants=settings.benchmark_sets["e2g"],
            reference=f"<dataset>/reference/{next(iter(settings.organisms))}",
        output:
            table="<results>/evaluation/fact_e2g_distance.tsv",
        log:
            "<results>/logs/fact_e2g_distance.log",
        conda:
            "../../envs/evaluate.yaml"
        params:
            version=version("evaluation"),
        script:
            "../scripts/evaluate_case.py"
