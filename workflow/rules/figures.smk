"""Figures, each with its arrays saved beside it."""

SCORES = [RUN.scores(name) for name in EXPERIMENTS]
REFERENCE = CONFIG.verification.reference
FIGURE_INPUTS = {
    "learning_curves": [path for name in [*TRANSFORMERS, "forecaster"] for path in RUN.curves(name)],
    "analysis_maps": [RUN.archive_receipt(REFERENCE), RUN.sites],
    "rmse_over_time": [*SCORES, *rules.models.input],
    "rmse_by_level": [*SCORES, *rules.models.input],
    "innovations": [RUN.innovations(REFERENCE)],
    "forecast_rmse": [RUN.scores("forecasts")],
    "autoencoder_error": rules.models.input,
    "forecaster_skill": [RUN.errors("forecaster")],
    "convergence": [RUN.health(REFERENCE)],
}


rule draw_figure:
    """Gather and save a figure's arrays, then draw it."""
    input:
        lambda wildcards: FIGURE_INPUTS[wildcards.figure],
    output:
        report(RUN.figure("{figure}"), category="figures"),
    log:
        RUN.log("draw-figure-{figure}"),
    benchmark:
        RUN.benchmark("draw-figure-{figure}")
    wildcard_constraints:
        figure="|".join(FIGURE_INPUTS),
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        settings=settings("verification"),
        code=lambda wildcards: code(
            "experiment/drawing",
            f"verification/figures/{wildcards.figure}",
            "verification/figures/style",
        ),
        run=RUN.root,
    shell:
        "lara draw-figure --run {params.run} --figure {wildcards.figure} --threads {threads} 2>&1 | tee {log}"


rule figures:
    """Every figure of the run."""
    input:
        [RUN.figure(name) for name in FIGURE_INPUTS],
