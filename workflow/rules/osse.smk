"""The OSSE: every method on the same windows, tuned alike, compared time by time. A target of its own."""


rule score_forecasts_of:
    """Squared errors of forecasts from an experiment's analyses, at the initial times of its suite."""
    input:
        statistics=RUN.statistics,
        forecaster=RUN.weights("forecaster"),
        truth=of(INPUTS.truth, "experiment"),
        archive=RUN.archive_receipt("{experiment}"),
    output:
        RUN.forecast_scores("{experiment}"),
    log:
        RUN.log("score-forecasts-of-{experiment}"),
    benchmark:
        RUN.benchmark("score-forecasts-of-{experiment}")
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=larger(4000),
        runtime=longer(120),
    params:
        settings=lambda wildcards: settings(
            "verification.lead_days",
            "verification.forecast_every_days",
            CONFIG.experiments[wildcards.experiment].suite.replace("reanalysis", "verification"),
        ),
        code=code("score-forecasts-of"),
        run=RUN.root,
    shell:
        lara("score-forecasts-of")


rule compare_osse:
    """Analysis and forecast RMSE of every method with paired block-bootstrap intervals."""
    input:
        scores=[RUN.scores(name) for name in OSSE],
        forecasts=[RUN.forecast_scores(name) for name in OSSE],
    output:
        RUN.osse,
    log:
        RUN.log("compare-osse"),
    benchmark:
        RUN.benchmark("compare-osse")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(2000),
        runtime=longer(20),
    params:
        settings=settings("seed", "verification.headline", "osse"),
        code=code("compare-osse"),
        run=RUN.root,
    shell:
        lara("compare-osse")


rule osse:
    """Table and figures of the OSSE."""
    input:
        RUN.osse,
        drawn_by("osse"),
        [RUN.health(name) for name in OSSE],
