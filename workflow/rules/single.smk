"""Single observations: what each changes, in every space it is shown in. A target of its own."""


rule observe_once:
    """Increments of all cases, each space in one batch."""
    input:
        [path for name in CONFIG.observed_once for path in INPUTS.scheme(name) + INPUTS.factors(name)],
        [INPUTS.truth(name) for name in CONFIG.observed_once[:1]],
    output:
        [RUN.increments(name) for name in CONFIG.single_observations],
    log:
        RUN.log("observe-once"),
    benchmark:
        RUN.benchmark("observe-once")
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=settings("single_observations", "observed_once", "observations.error_std", "minimiser"),
        schemes=[settings(f"experiments.{name}") for name in CONFIG.observed_once],
        code=code("observe-once"),
        run=RUN.root,
    shell:
        lara("observe-once")


rule single_observations:
    """Increments and figures of every case."""
    input:
        [RUN.increments(name) for name in CONFIG.single_observations],
        drawn_by("single_observations"),
