"""Figures, each with its arrays saved beside it."""

TRANSFORMERS = [name for name in DEFAULT_AUTOENCODERS if CONFIG.autoencoders[name].kind == "transformer"]
BOOTSTRAPPED = [CONFIG.bootstrap.reference, *BOOTSTRAP] if BOOTSTRAP else []
TUNED = [name for name, experiment in CONFIG.experiments.items() if experiment.tuned]
STRUCTURES = [RUN.structure(source) for source in ("truth", "reconstruction", *REANALYSIS)]
SHOWN_AUTOENCODER = CONFIG.experiments[REFERENCE].autoencoder
COMPARED = [RUN.scores(name) for name in REANALYSIS] + [RUN.errors(SHOWN_AUTOENCODER)]
FIELD_FIGURES = {
    "analysis_maps": [RUN.archive_receipt(REFERENCE), INPUTS.truth(REFERENCE), RUN.sites],
    "rmse_over_time": COMPARED,
    "rmse_by_level": COMPARED,
    "forecast_rmse": [RUN.scores("forecasts")],
    "autoencoder_error": [RUN.errors(SHOWN_AUTOENCODER)],
    "forecaster_skill": [RUN.errors("forecaster")],
}
TABLE_FIGURES = {
    "learning_curves": [path for name in [*TRANSFORMERS, "forecaster"] for path in RUN.curves(name)],
    "innovations": [RUN.innovations(REFERENCE)],
    "convergence": [RUN.health(REFERENCE)],
}
MORE_FIELD_FIGURES = {  # drawn by `figures`, left out of `all` for its time
    "fig1_framework": [*INPUTS.windows(REFERENCE), RUN.feedback(REFERENCE)],
    "fig2_background_error": [RUN.error_structure],
    **{name: [RUN.latent_space(name)] for name in LATENT_FIGURES},
    **dict.fromkeys(("spectra", "extremes", "balance", "budgets"), STRUCTURES),
}
OSSE_FIGURES = (
    {
        "fig3_osse": [*map(RUN.scores, OSSE), *map(RUN.forecast_scores, OSSE), RUN.errors(SHOWN_AUTOENCODER)],
        "fig3_cycling": [*map(RUN.scores, OSSE), *map(RUN.feedback, OSSE), RUN.errors(SHOWN_AUTOENCODER)],
    }
    if OSSE
    else {}
)
SHOWN_TUNED = [name for name in TUNED if name in REANALYSIS + OSSE]  # others have targets of their own
PRODUCTION_REPORT = [
    RUN.production(part) for part in ("series.nc", "trends.csv", "seams.nc", "seams.csv", "report.json")
]
PRODUCTION_FIGURES = [
    *(("production_rmse", "production_drift") if PRODUCTION else ()),
    *(("production_seams",) if any(len(CONFIG.production.streams.get(name, ())) > 1 for name in PRODUCTION) else ()),
]
CASES = [name for name, case in CONFIG.single_observations.items() if case.level is not None]
ASKED_FIELD_FIGURES = {  # drawn by targets of their own
    **{f"spread_skill_{name}": [RUN.ensemble_scores(name)] for name in ENSEMBLES},
    **{f"single_observation_{name}": [RUN.increments(name)] for name in CASES},
    **OSSE_FIGURES,
    **(
        {"exp4_forecast_autoencoder": [path for name in BOOTSTRAPPED for path in INPUTS.bootstrap(name)]}
        if BOOTSTRAP
        else {}
    ),
    **dict.fromkeys(PRODUCTION_FIGURES, PRODUCTION_REPORT),
    **({"fig4_single_observation": [RUN.increments(name) for name in CASES]} if CASES else {}),
}
ASKED_TABLE_FIGURES = {
    "minimisers": [RUN.comparison("minimisers")],
    "batching": [RUN.comparison("batching")],
    **({"osse": [RUN.osse]} if OSSE else {}),
    **({"tuning": [RUN.tuning_trials(name) for name in SHOWN_TUNED]} if SHOWN_TUNED else {}),
    **({"fig7_latent_size": [path for name in SIZES for path in INPUTS.size(name)]} if SIZES else {}),
    "table_cost": [
        path
        for name in [*REANALYSIS, *OSSE]
        if CONFIG.experiments[name].variational
        for path in (RUN.health(name), RUN.timings(name))
    ],
}
DEFAULT_FIGURES = [*FIELD_FIGURES, *TABLE_FIGURES]
ALL_FIELD_FIGURES = FIELD_FIGURES | MORE_FIELD_FIGURES | ASKED_FIELD_FIGURES
ALL_TABLE_FIGURES = TABLE_FIGURES | ASKED_TABLE_FIGURES
DRAWN_FROM = ALL_FIELD_FIGURES | ALL_TABLE_FIGURES
PAPER_FIGURES = ("fig3_osse", "fig3_cycling", "fig4_single_observation", "table_cost")


rule draw_figure:
    """Gather and save a figure's fields, then draw it."""
    input:
        lambda wildcards: DRAWN_FROM[wildcards.figure],
    output:
        RUN.figure_fields("{figure}"),
        RUN.figure_pdf("{figure}"),
        report(
            RUN.figure("{figure}"), category=category_of, caption="../report/figure.rst", labels={"figure": "{figure}"}
        ),
    log:
        RUN.log("draw-figure-{figure}"),
    benchmark:
        RUN.benchmark("draw-figure-{figure}")
    wildcard_constraints:
        figure=one_of(ALL_FIELD_FIGURES),
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(2000),
        runtime=longer(20),
    params:
        settings=settings("seed", "verification"),
        code=code("draw-figure"),
        caption=caption_of,
        run=RUN.root,
    shell:
        lara("draw-figure")


use rule draw_figure as draw_figure_of_table with:
    output:
        RUN.figure_table("{figure}"),
        RUN.figure_pdf("{figure}"),
        report(
            RUN.figure("{figure}"), category=category_of, caption="../report/figure.rst", labels={"figure": "{figure}"}
        ),
    wildcard_constraints:
        figure=one_of(ALL_TABLE_FIGURES),


rule figures:
    """Every figure, those of the paper among them, but the two whose networks are trained for them alone."""
    input:
        [RUN.figure(name) for name in [*DEFAULT_FIGURES, *MORE_FIELD_FIGURES, *PAPER_FIGURES] if name in DRAWN_FROM],


rule write_page:
    """Headline table, health, provenance and every figure there is, in one file for a browser."""
    input:
        RUN.summary,
        [RUN.figure(name) for name in [*DEFAULT_FIGURES, "costs"]],
        INPUTS.datasets("training"),
        INPUTS.held_out(),
    output:
        report(RUN.page, category="summary", caption="../report/page.rst"),
    log:
        RUN.log("write-page"),
    benchmark:
        RUN.benchmark("write-page")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(1000),
        runtime=longer(10),
    params:
        settings=settings("name", "seed", "verification"),
        code=code("write-page"),
        run=RUN.root,
    shell:
        lara("write-page")


rule fig7_latent_size:
    """Autoencoders of several sizes with their own training budgets, their B and their analyses: the suite `sizes`."""
    input:
        [RUN.figure("fig7_latent_size")] if SIZES else missing_suite("sizes", "autoencoders and experiments of it"),


rule exp4_forecast_autoencoder:
    """An autoencoder trained on forecasts, its B, its tuning and its analyses beside the OSSE's: suite `bootstrap`."""
    input:
        [RUN.figure("exp4_forecast_autoencoder")]
        if BOOTSTRAP
        else missing_suite("bootstrap", "an autoencoder with forecast_days and an experiment of it"),


rule fig3_gdas:
    """The OSSE's figure against held-out observations and ERA5: refused until a run has both."""
    input:
        real_observations,


rule readme_figure:
    """The figure of the README, drawn again from the default run: run it by name after a change that moves it."""
    input:
        of_the_default_run,
    output:
        "workflow/report/overview.png",
    log:
        RUN.log("readme-figure"),
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(500),
        runtime=longer(5),
    shell:
        "cp {input} {output} 2> {log}"
