"""Figures, each with its arrays saved beside it: a file of `lara/figures` says what it is drawn from and by which target."""


rule draw_figure:
    """Gather and save a figure's fields, then draw it."""
    input:
        lambda wildcards: PICTURES[wildcards.figure].inputs(CONFIG, RUN),
    output:
        RUN.figure_fields("{figure}"),
        RUN.figure_pdf("{figure}"),
        report(
            RUN.figure("{figure}"),
            category=lambda wildcards: PICTURES[wildcards.figure].category,
            caption="../report/figure.rst",
            labels={"figure": "{figure}"},
        ),
    log:
        RUN.log("draw-figure-{figure}"),
    benchmark:
        RUN.benchmark("draw-figure-{figure}")
    wildcard_constraints:
        figure=one_of(name for name, picture in PICTURES.items() if picture.file.KEPT_AS == "nc"),
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(2000),
        runtime=longer(20),
    params:
        settings=settings("seed", "verification"),
        code=lambda wildcards: code("draw-figure", PICTURES[wildcards.figure].module),
        caption=lambda wildcards: PICTURES[wildcards.figure].caption(CONFIG),
        run=RUN.root,
    shell:
        lara("draw-figure")


use rule draw_figure as draw_figure_of_table with:
    output:
        RUN.figure_table("{figure}"),
        RUN.figure_pdf("{figure}"),
        report(
            RUN.figure("{figure}"),
            category=lambda wildcards: PICTURES[wildcards.figure].category,
            caption="../report/figure.rst",
            labels={"figure": "{figure}"},
        ),
    wildcard_constraints:
        figure=one_of(name for name, picture in PICTURES.items() if picture.file.KEPT_AS == "csv"),


rule figures:
    """Every figure, those of the paper among them, but the two whose networks are trained for them alone."""
    input:
        drawn_by("all"),
        drawn_by("figures"),


rule write_page:
    """Headline table, health, provenance and every figure there is, in one file for a browser."""
    input:
        RUN.summary,
        drawn_by("all"),
        drawn_by("benchmarks"),
        INPUTS.datasets("training"),
        INPUTS.datasets("validation"),
        INPUTS.tests(),
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
        captions=[picture.caption(CONFIG) for picture in PICTURES.values()],
        run=RUN.root,
    shell:
        lara("write-page")


rule fig7_latent_size:
    """Autoencoders of several sizes with their own training budgets, their B and their analyses: the suite `sizes`."""
    input:
        RUN.figure("fig7_latent_size"),


rule exp4_forecast_autoencoder:
    """An autoencoder trained on forecasts, its B, its tuning and its analyses beside the OSSE's: suite `bootstrap`."""
    input:
        RUN.figure("exp4_forecast_autoencoder"),


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
