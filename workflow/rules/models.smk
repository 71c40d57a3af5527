"""The networks: trained on the training period, measured on the others."""

LATENT_FIGURES = ("fig5a_latent_influence", "fig5b_imbalanced_input", "fig6a_affine", "fig6b_linear_range")


rule forecast_states:
    """Forecasts from the training states, for an autoencoder to be trained on in their place."""
    input:
        statistics=RUN.statistics,
        forecaster=RUN.weights("forecaster"),
        training=INPUTS.datasets("training"),
    output:
        RUN.forecast_states_receipt("{autoencoder}"),
    log:
        RUN.log("forecast-states-{autoencoder}"),
    benchmark:
        RUN.benchmark("forecast-states-{autoencoder}")
    wildcard_constraints:
        autoencoder=one_of(name for name in CONFIG.autoencoders if INPUTS.forecasts(name)),
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=larger(6000),
        runtime=longer(240),
    params:
        settings=lambda wildcards: settings(
            f"autoencoders.{wildcards.autoencoder}.forecast_days", "forecaster.relaxation_days"
        ),
        run=RUN.root,
    shell:
        lara("forecast-states")


rule train_autoencoder:
    """Fit the linear path, then train the residual; resumes from its last checkpoint."""
    input:
        of(INPUTS.forecasts, "autoencoder"),
        statistics=RUN.statistics,
        training=INPUTS.datasets("training"),
        validation=INPUTS.datasets("validation"),
    output:
        weights=RUN.weights("{autoencoder}"),
        curves=RUN.curves("{autoencoder}"),
    log:
        RUN.log("train-autoencoder-{autoencoder}"),
    benchmark:
        RUN.benchmark("train-autoencoder-{autoencoder}")
    wildcard_constraints:
        autoencoder=one_of(set(CONFIG.autoencoders) - set(IMPORTS.networks)),
    priority: URGENCY["networks"]
    conda:
        "../../envs/gpu.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=1,
        nodes=1,
        mem_mb=larger(8000),
        runtime=longer(training_minutes),
    params:
        settings=of(SETTINGS.autoencoder, "autoencoder"),
        run=RUN.root,
    shell:
        launched(lara("train-autoencoder"))


rule train_forecaster:
    """Train the forecaster, one step first and rollouts after; resumes from its last checkpoint."""
    input:
        statistics=RUN.statistics,
        training=INPUTS.datasets("training"),
        validation=INPUTS.datasets("validation"),
    output:
        weights=RUN.weights("forecaster"),
        curves=RUN.curves("forecaster"),
    log:
        RUN.log("train-forecaster"),
    benchmark:
        RUN.benchmark("train-forecaster")
    priority: URGENCY["networks"]
    conda:
        "../../envs/gpu.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=1,
        nodes=1,
        mem_mb=larger(8000),
        runtime=longer(training_minutes),
    params:
        settings=SETTINGS.forecaster(),
        run=RUN.root,
    shell:
        launched(lara("train-forecaster"))


rule measure_autoencoder:
    """Reconstruction error on the validation period: the representation error in R."""
    input:
        statistics=RUN.statistics,
        weights=RUN.weights("{autoencoder}"),
        held_out=INPUTS.datasets("validation"),
    output:
        RUN.errors("{autoencoder}"),
    log:
        RUN.log("measure-autoencoder-{autoencoder}"),
    benchmark:
        RUN.benchmark("measure-autoencoder-{autoencoder}")
    wildcard_constraints:
        autoencoder=one_of(set(CONFIG.autoencoders) - set(IMPORTS.networks)),
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        corrections=of(SETTINGS.corrections, "autoencoder"),
        run=RUN.root,
        code=code("measure-autoencoder"),
    shell:
        lara("measure-autoencoder")


rule measure_forecaster:
    """Forecast error by step of a window on the validation period: the model error in R."""
    input:
        statistics=RUN.statistics,
        weights=RUN.weights("forecaster"),
        held_out=INPUTS.datasets("validation"),
    output:
        RUN.errors("forecaster"),
    log:
        RUN.log("measure-forecaster"),
    benchmark:
        RUN.benchmark("measure-forecaster")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=settings("forecaster.relaxation_days"),
        window_hours=max(chosen.span_hours for chosen in CONFIG.experiments.values()),
        run=RUN.root,
        code=code("measure-forecaster"),
    shell:
        lara("measure-forecaster")


rule score_autoencoder:
    """Reconstruction error on the test period, beside that of the PCA."""
    input:
        of(INPUTS.forecasts, "autoencoder"),
        statistics=RUN.statistics,
        weights=RUN.weights("{autoencoder}"),
        held_out=INPUTS.tests(),
    output:
        RUN.network_scores("{autoencoder}"),
    log:
        RUN.log("score-autoencoder-{autoencoder}"),
    benchmark:
        RUN.benchmark("score-autoencoder-{autoencoder}")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        corrections=of(SETTINGS.corrections, "autoencoder"),
        run=RUN.root,
        code=code("score-autoencoder"),
    shell:
        lara("score-autoencoder")


rule score_forecaster:
    """Forecast error by lead time on the test period, beside that of persistence."""
    input:
        statistics=RUN.statistics,
        weights=RUN.weights("forecaster"),
        held_out=INPUTS.tests(),
    output:
        RUN.network_scores("forecaster"),
    log:
        RUN.log("score-forecaster"),
    benchmark:
        RUN.benchmark("score-forecaster")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=settings("forecaster.relaxation_days"),
        run=RUN.root,
        code=code("score-forecaster"),
    shell:
        lara("score-forecaster")


rule measure_latent_space:
    """What the decoder makes of latent states: influence of components, balance, affinity."""
    input:
        statistics=RUN.statistics,
        weights=RUN.weights(space_of(REFERENCE)),
        states=INPUTS.truth(REFERENCE),
    output:
        [RUN.latent_space(name) for name in LATENT_FIGURES],
    log:
        RUN.log("measure-latent-space"),
    benchmark:
        RUN.benchmark("measure-latent-space")
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=settings("seed", "verification.headline"),
        corrections=SETTINGS.corrections(space_of(REFERENCE)),
        code=code("measure-latent-space"),
        run=RUN.root,
    shell:
        lara("measure-latent-space")


rule models:
    """Every network, its errors and its scores."""
    input:
        [RUN.errors(name) for name in [*DEFAULT_AUTOENCODERS, "forecaster"]],
        [RUN.network_scores(name) for name in [*DEFAULT_AUTOENCODERS, "forecaster"]],
