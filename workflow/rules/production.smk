"""Long reanalyses: monthly means, and the report of drift, failed cycles, speed and seams."""

PRODUCTION_REPORT = [
    RUN.production(part) for part in ("series.nc", "trends.csv", "seams.nc", "seams.csv", "report.json")
]


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


rule average_months:
    """Means of an experiment's analyses by calendar month, in one NetCDF file."""
    input:
        RUN.archive_receipt("{experiment}"),
    output:
        RUN.monthly_means("{experiment}"),
    log:
        RUN.log("average-months-{experiment}"),
    benchmark:
        RUN.benchmark("average-months-{experiment}")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(120),
    params:
        code=code("average-months"),
        run=RUN.root,
    shell:
        lara("average-months")


rule production:
    """Archives, monthly means and scores of the suite `production`, its report and figures."""
    input:
        [RUN.archive_receipt(name) for name in PRODUCTION],
        [RUN.scores(name) for name in PRODUCTION],
        [RUN.monthly_means(name) for name in PRODUCTION],
        drawn_by("production"),
        PRODUCTION_REPORT if PRODUCTION else [],
