"""The networks: trained on the training period, measured on the others."""


rule forecast_states:
    """Forecasts from the training states, for an autoencoder to be trained on in their place."""
    input:
        statistics=RUN.statistics,
        forecaster=RUN.weights("forecaster"),
        training=[RUN.dataset_receipt(name) for name in CONFIG.using("training")],
    output:
        RUN.forecast_states_receipt("{autoencoder}"),
    log:
        RUN.log("forecast-states-{autoencoder}"),
    benchmark:
        RUN.benchmark("forecast-states-{autoencoder}")
    wildcard_constraints:
        autoencoder=one_of(OF_FORECASTS),
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
        "lara forecast-states --run {params.run} --autoencoder {wildcards.autoencoder}"
        " --threads {threads} 2>&1 | tee {log}"


rule train_autoencoder:
    """Fit the linear path, then train the residual; resumes from its last checkpoint."""
    input:
        forecasts_of_autoencoder,
        statistics=RUN.statistics,
        training=[RUN.dataset_receipt(name) for name in CONFIG.using("training")],
        validation=[RUN.dataset_receipt(name) for name in CONFIG.using("validation")],
    output:
        weights=RUN.weights("{autoencoder}"),
        curves=RUN.curves("{autoencoder}"),
    log:
        RUN.log("train-autoencoder-{autoencoder}"),
    benchmark:
        RUN.benchmark("train-autoencoder-{autoencoder}")
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
        settings=autoencoder_settings,
        run=RUN.root,
    shell:
        launched(
            "lara train-autoencoder --run {params.run} --autoencoder {wildcards.autoencoder}"
            " --threads {threads} 2>&1 | tee {log}"
        )


rule train_forecaster:
    """Train the forecaster, one step first and rollouts after; resumes from its last checkpoint."""
    input:
        statistics=RUN.statistics,
        training=[RUN.dataset_receipt(name) for name in CONFIG.using("training")],
        validation=[RUN.dataset_receipt(name) for name in CONFIG.using("validation")],
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
        settings=forecaster_settings,
        run=RUN.root,
    shell:
        launched("lara train-forecaster --run {params.run} --threads {threads} 2>&1 | tee {log}")


rule measure_autoencoder:
    """Reconstruction error on held-out states: the representation error in R, and the score against the PCA."""
    input:
        forecasts_of_autoencoder,
        statistics=RUN.statistics,
        weights=RUN.weights("{autoencoder}"),
        held_out=[RUN.dataset_receipt(n) for n in CONFIG.using("validation") + CONFIG.default_tests],
    output:
        RUN.errors("{autoencoder}"),
    log:
        RUN.log("measure-autoencoder-{autoencoder}"),
    benchmark:
        RUN.benchmark("measure-autoencoder-{autoencoder}")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        corrections=lambda wildcards: corrections_of(wildcards.autoencoder),
        run=RUN.root,
        code=code("experiment/measuring", "experiment/learning", "autoencoder", "networks/", "normalise"),
    shell:
        "lara measure-autoencoder --run {params.run} --autoencoder {wildcards.autoencoder}"
        " --threads {threads} 2>&1 | tee {log}"


rule measure_forecaster:
    """Forecast error by lead time on held-out states: the model error in R, and the score against persistence."""
    input:
        statistics=RUN.statistics,
        weights=RUN.weights("forecaster"),
        held_out=[RUN.dataset_receipt(n) for n in CONFIG.using("validation") + CONFIG.default_tests],
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
        window_hours=max((e.slots - 1) * e.slot_hours for e in CONFIG.experiments.values()),
        run=RUN.root,
        code=code("experiment/measuring", "forecaster", "networks/", "normalise"),
    shell:
        "lara measure-forecaster --run {params.run} --threads {threads} 2>&1 | tee {log}"


rule measure_latent_space:
    """What the decoder makes of latent states: influence of components, balance, affinity."""
    input:
        statistics=RUN.statistics,
        weights=RUN.weights(space_of(REFERENCE)),
        states=truth_of(REFERENCE),
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
        corrections=corrections_of(space_of(REFERENCE)),
        code=code("experiment/latent_space", "verification/linearity", "autoencoder", "networks/", "normalise"),
        run=RUN.root,
    shell:
        "lara measure-latent-space --run {params.run} --threads {threads} 2>&1 | tee {log}"


rule models:
    """Every network and its measured errors."""
    input:
        [RUN.errors(name) for name in [*DEFAULT_AUTOENCODERS, "forecaster"]],
