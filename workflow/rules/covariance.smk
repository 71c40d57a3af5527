"""The background error covariance of every latent space."""


rule estimate_background_error:
    """Variance per latent element of forecast differences over the training period."""
    input:
        statistics=RUN.statistics,
        autoencoder=RUN.weights("{autoencoder}"),
        forecaster=RUN.weights("forecaster"),
        training=[RUN.dataset_receipt(name) for name in CONFIG.using("training")],
    output:
        RUN.background_error("{autoencoder}"),
    log:
        RUN.log("estimate-background-error-{autoencoder}"),
    benchmark:
        RUN.benchmark("estimate-background-error-{autoencoder}")
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=120,
    params:
        settings=settings("background_error.samples", "background_error.lead_hours"),
        code=code("covariance/", "experiment/covariance", "networks/"),
        run=RUN.root,
    shell:
        "lara estimate-background-error --run {params.run} --autoencoder {wildcards.autoencoder}"
        " --threads {threads} 2>&1 | tee {log}"


rule covariance:
    """The background error of every autoencoder."""
    input:
        [RUN.background_error(name) for name in CONFIG.autoencoders],
