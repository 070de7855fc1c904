# One self-contained page.
rule write_report:
    """Files, tracks, splits, losses, predictions and metrics of the run on one page."""
    input:
        summary="<results>/evaluation/summary.tsv",
        tracks=collect("<results>/evaluation/{model}/tracks.tsv", model=settings.evaluated),
        models=collect("<results>/models/{model}/model.json", model=settings.trained),
        manifests=collect("<dataset>/manifest/{organism}.tracks.tsv", organism=settings.organisms),
        records=block_files("<dataset>/store/{organism}/{bundle}.{block}.json", kinds=(False,)),
        variants=["<results>/evaluation/variants.tsv"] if SCORED else [],
        distillation=collect(
            "<results>/evaluation/{student}/{organism}.distillation.tsv", student=STUDENT_GROUPS, organism=SCORED
        ),
        ablations=["<results>/evaluation/compared.tsv"] if settings.bases else [],
        comparison=["<results>/evaluation/table_tracks.tsv", "<results>/evaluation/table_variants.tsv"],
        leakage=leakage_files(),
        compared=compared_tracks(),
        quality=collect("<dataset>/quality/{organism}.tsv", organism=settings.organisms),
        references=collect("<dataset>/reference/{organism}", organism=settings.organisms),
    output:
        page=report(
            "<results>/report/index.html",
            caption="../report/page.rst",
            category="Report",
        ),
    log:
        "<results>/logs/write_report.log",
    conda:
        "../../envs/report.yaml"
    params:
        shown=plain(settings.report),
    script:
        "../scripts/write_report.py"
