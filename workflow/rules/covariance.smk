"""The background error covariance of every space, and the factors on B and R of experiments."""

SHOWN_SPACES = list(
    dict.fromkeys(
        [space_of(REFERENCE), *[name for name in DEFAULT_AUTOENCODERS if CONFIG.autoencoders[name].kind == "pca"][:1]]
    )
)


rule estimate_background_error:
    """From forecast differences over the training period: in a latent space, or by control variables in model space."""
    input:
        of(INPUTS.weights, "space"),
        statistics=RUN.statistics,
        forecaster=RUN.weights("forecaster"),
        training=INPUTS.datasets("training"),
    output:
        RUN.background_error("{space}"),
    log:
        RUN.log("estimate-background-error-{space}"),
    benchmark:
        RUN.benchmark("estimate-background-error-{space}")
    wildcard_constraints:
        space=one_of(set(CONFIG.spaces) - set(IMPORTS.spaces)),
    priority: URGENCY["covariance"]
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=larger(4000),
        runtime=longer(120),
    params:
        settings=settings("background_error", "forecaster.relaxation_days"),
        corrections=of(SETTINGS.corrections, "space"),
        code=code("estimate-background-error"),
        run=RUN.root,
    shell:
        lara("estimate-background-error")


rule measure_error_structure:
    """Correlations of forecast differences across channels and distance, and how near B is to diagonal."""
    input:
        [RUN.weights(name) for name in SHOWN_SPACES],
        statistics=RUN.statistics,
        forecaster=RUN.weights("forecaster"),
        training=INPUTS.datasets("training"),
    output:
        RUN.error_structure,
    log:
        RUN.log("measure-error-structure"),
    benchmark:
        RUN.benchmark("measure-error-structure")
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=larger(6000),
        runtime=longer(120),
    params:
        settings=settings("seed", "background_error", "forecaster.relaxation_days", "verification.headline"),
        corrections=[SETTINGS.corrections(space) for space in SHOWN_SPACES],
        code=code("measure-error-structure"),
        run=RUN.root,
    shell:
        lara("measure-error-structure")


rule tune_experiment:
    """Factors on B and R by maximum likelihood of innovations, cycling over validation windows."""
    input:
        of(INPUTS.scheme, "experiment"),
        INPUTS.tuned_on(),
    output:
        factors=RUN.tuning("{experiment}"),
        trials=RUN.tuning_trials("{experiment}"),
    log:
        RUN.log("tune-experiment-{experiment}"),
    benchmark:
        RUN.benchmark("tune-experiment-{experiment}")
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=larger(6000),
        runtime=longer(720),
    params:
        settings=of(SETTINGS.tuning, "experiment"),
        code=code("tune-experiment"),
        run=RUN.root,
    shell:
        lara("tune-experiment")


rule covariance:
    """The background error of every space that an experiment of the default suite works in."""
    input:
        [
            RUN.background_error(space_of(name))
            for name in CONFIG.suite("reanalysis")
            if CONFIG.experiments[name].variational
        ],
