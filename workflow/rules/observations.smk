"""Observations of the test periods."""


rule draw_sites:
    """The fixed network of columns and surface stations, a part of it withheld."""
    output:
        RUN.sites,
    log:
        RUN.log("draw-sites"),
    benchmark:
        RUN.benchmark("draw-sites")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(2000),
        runtime=longer(20),
    params:
        settings=settings(
            "seed",
            "observations.columns",
            "observations.surface_stations",
            "observations.withheld_fraction",
            "grid",
        ),
        code=code("draw-sites"),
        run=RUN.root,
    shell:
        lara("draw-sites")


rule simulate_observations:
    """What the network sees at the slots of a month of a dataset, with its errors."""
    input:
        sites=RUN.sites,
        truth=of(INPUTS.states_of_month, "dataset", "month"),
    output:
        RUN.observations("{dataset}", "{month}"),
    log:
        RUN.log("simulate-observations-{dataset}-{month}"),
    benchmark:
        RUN.benchmark("simulate-observations-{dataset}-{month}")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=settings("seed", "observations.error_std"),
        code=code("simulate-observations"),
        run=RUN.root,
    shell:
        lara("simulate-observations")


rule screen_observations:
    """Flag what no analysis is to use: missing, blacklisted, far from climatology, repeated, thinned."""
    input:
        statistics=RUN.statistics,
        observations=RUN.observations("{dataset}", "{month}"),
        blacklist=CONFIG.quality_control.blacklist or [],
    output:
        RUN.screened("{dataset}", "{month}"),
    log:
        RUN.log("screen-observations-{dataset}-{month}"),
    benchmark:
        RUN.benchmark("screen-observations-{dataset}-{month}")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=settings("quality_control"),
        code=code("screen-observations"),
        run=RUN.root,
    shell:
        lara("screen-observations")


rule observations:
    """The observations of the test datasets of the default target."""
    input:
        [RUN.screened(name, month) for name in CONFIG.default_tests for month in CONFIG.months(name)],
