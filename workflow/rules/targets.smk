"""Targets beyond `all` whose files come from several stages."""


rule osse:
    """Table and figures of the OSSE."""
    input:
        RUN.osse,
        drawn_by("osse"),
        [RUN.health(name) for name in OSSE],


rule uncertainty:
    """Scores and figures of every ensemble."""
    input:
        [RUN.scores(name) for name in ENSEMBLES],
        drawn_by("uncertainty"),


rule single_observations:
    """Increments and figures of every case."""
    input:
        [RUN.increments(name) for name in CONFIG.single_observations],
        drawn_by("single_observations"),


rule production:
    """Archives, monthly means and scores of the suite `production`, its report and figures."""
    input:
        [RUN.archive_receipt(name) for name in PRODUCTION],
        [RUN.scores(name) for name in PRODUCTION],
        [RUN.monthly_means(name) for name in PRODUCTION],
        drawn_by("production"),
        PRODUCTION_REPORT if PRODUCTION else [],


os.environ |= {ON_PROCESSOR: " ".join(off_gpus())}  # last, when every rule is known
