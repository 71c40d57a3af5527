"""Scores against truth and observations, comparisons of experiments, the report of long runs, and the summary."""

FORECAST_STARTS = [name for name in REANALYSIS if name == REFERENCE or CONFIG.experiments[name].method == "free"]
PRODUCTION_REPORT = [
    RUN.production(part) for part in ("series.nc", "trends.csv", "seams.nc", "seams.csv", "report.json")
]


rule score_experiment:
    """Sums for bias, RMSE, MAE and ACC by time and channel, and these by month, region, local time; departures."""
    input:
        statistics=RUN.statistics,
        truth=of(INPUTS.truth, "experiment"),
        archive=RUN.archive_receipt("{experiment}"),
        feedback=RUN.feedback("{experiment}"),
    output:
        scores=RUN.scores("{experiment}"),
        finished=RUN.finished_scores("{experiment}"),
        local=RUN.local_time_scores("{experiment}"),
        innovations=RUN.innovations("{experiment}"),
    log:
        RUN.log("score-experiment-{experiment}"),
    benchmark:
        RUN.benchmark("score-experiment-{experiment}")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=lambda wildcards: {"spin_up_days": CONFIG.spin_up_days(wildcards.experiment)},
        code=code("score-experiment"),
        run=RUN.root,
    shell:
        lara("score-experiment")


rule measure_structure:
    """Spectra, tails, lags, balance, budgets of analyses after the spin-up, and noise of the first forecast steps."""
    input:
        statistics=RUN.statistics,
        forecaster=RUN.weights("forecaster"),
        truth=of(INPUTS.truth, "experiment"),
        archive=RUN.archive_receipt("{experiment}"),
    output:
        RUN.structure("{experiment}"),
    log:
        RUN.log("measure-structure-{experiment}"),
    benchmark:
        RUN.benchmark("measure-structure-{experiment}")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=of(SETTINGS.structure, "experiment"),
        code=code("measure-structure"),
        run=RUN.root,
    shell:
        lara("measure-structure")


rule measure_controls:
    """The same of the truth and of its reconstruction, at the times of the reference experiment."""
    input:
        statistics=RUN.statistics,
        forecaster=RUN.weights("forecaster"),
        autoencoder=RUN.weights(space_of(REFERENCE)),
        truth=INPUTS.truth(REFERENCE),
        archive=RUN.archive_receipt(REFERENCE),
    output:
        [RUN.structure(source) for source in ("truth", "reconstruction")],
    log:
        RUN.log("measure-controls"),
    benchmark:
        RUN.benchmark("measure-controls")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=settings("verification", "forecaster.relaxation_days"),
        corrections=SETTINGS.corrections(space_of(REFERENCE)),
        code=code("measure-controls"),
        run=RUN.root,
    shell:
        lara("measure-controls")


rule score_forecasts:
    """Forecasts from the analyses and from the free run against truth, persistence and climatology."""
    input:
        statistics=RUN.statistics,
        forecaster=RUN.weights("forecaster"),
        truth=INPUTS.truth(REFERENCE),
        archives=[RUN.archive_receipt(name) for name in FORECAST_STARTS],
    output:
        RUN.scores("forecasts"),
    log:
        RUN.log("score-forecasts"),
    benchmark:
        RUN.benchmark("score-forecasts")
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=larger(4000),
        runtime=longer(120),
    params:
        settings=settings(
            "seed",
            "verification.reference",
            "verification.lead_days",
            "verification.forecast_every_days",
            "verification.spin_up_days",
        ),
        code=code("score-forecasts"),
        run=RUN.root,
    shell:
        lara("score-forecasts")


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


rule score_ensemble:
    """Spread, error of the mean, CRPS and ranks of the truth by region and time, and over the times scored."""
    input:
        truth=of(INPUTS.truth, "experiment"),
        members=RUN.members("{experiment}"),
    output:
        sums=RUN.ensemble_scores("{experiment}"),
        finished=RUN.finished_ensemble_scores("{experiment}"),
    log:
        RUN.log("score-ensemble-{experiment}"),
    benchmark:
        RUN.benchmark("score-ensemble-{experiment}")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=lambda wildcards: settings("seed") | {"spin_up_days": CONFIG.spin_up_days(wildcards.experiment)},
        code=code("score-ensemble"),
        run=RUN.root,
    shell:
        lara("score-ensemble")


rule report_production:
    """Trends, failed cycles and speed of the suite `production`, and how its streams join."""
    input:
        INPUTS.spin_ups(),
        truth=[INPUTS.truth(name) for name in PRODUCTION],
        archives=[RUN.archive_receipt(name) for name in PRODUCTION],
        scores=[RUN.scores(name) for name in PRODUCTION],
        health=[RUN.health(name) for name in PRODUCTION],
        timings=[RUN.timings(name) for name in PRODUCTION],
    output:
        PRODUCTION_REPORT,
    log:
        RUN.log("report-production"),
    benchmark:
        RUN.benchmark("report-production")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(120),
    params:
        settings=settings("production", "verification.headline"),
        code=code("report-production"),
        run=RUN.root,
    shell:
        lara("report-production")


rule summarise:
    """Every headline figure of the run in one JSON file."""
    input:
        errors=rules.models.input,
        scores=[RUN.scores(name) for name in [*REANALYSIS, "forecasts"]],
        innovations=[RUN.innovations(name) for name in REANALYSIS],
        health=[RUN.health(name) for name in REANALYSIS],
        structures=[RUN.structure(source) for source in ("truth", "reconstruction", *REANALYSIS)],
    output:
        RUN.summary,
    log:
        RUN.log("summarise"),
    benchmark:
        RUN.benchmark("summarise")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(2000),
        runtime=longer(20),
    params:
        settings=settings("seed", "verification"),
        code=code("summarise"),
        run=RUN.root,
    shell:
        lara("summarise")


rule verification:
    """Every score and the summary."""
    input:
        RUN.summary,
        [RUN.finished_scores(name) for name in REANALYSIS],
