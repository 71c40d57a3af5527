"""Minimisers compared on windows of the reference experiment. Targets of their own: nothing else may run beside."""


rule compare_minimisers:
    """Gradients and seconds to the minimum: L-BFGS, Gauss-Newton, and Adam as released."""
    input:
        *INPUTS.windows(REFERENCE),
    output:
        RUN.comparison("minimisers"),
    log:
        RUN.log("compare-minimisers"),
    benchmark:
        RUN.benchmark("compare-minimisers")
    conda:
        "../../envs/gpu.yaml"
    threads: CORES  # times are compared
    resources:
        gpu=1,
        mem_mb=larger(4000),
        runtime=longer(240),
    params:
        settings=settings("minimiser"),
        code=code("compare-minimisers"),
        run=RUN.root,
    shell:
        lara("compare-minimisers", threads=1)


rule compare_batches:
    """Seconds of minimising 1, 2, 4 … windows at once."""
    input:
        *INPUTS.windows(REFERENCE),
    output:
        RUN.comparison("batching"),
    log:
        RUN.log("compare-batches"),
    benchmark:
        RUN.benchmark("compare-batches")
    conda:
        "../../envs/gpu.yaml"
    threads: CORES  # times are compared
    resources:
        gpu=1,
        mem_mb=larger(4000),
        runtime=longer(240),
    params:
        settings=settings("minimiser"),
        code=code("compare-batches"),
        run=RUN.root,
    shell:
        lara("compare-batches", threads=1)


rule measure_overhead:
    """Seconds of analyses over those of bare passes through the networks."""
    input:
        *INPUTS.windows(REFERENCE),
    output:
        RUN.comparison("overhead"),
    log:
        RUN.log("measure-overhead"),
    benchmark:
        RUN.benchmark("measure-overhead")
    conda:
        "../../envs/gpu.yaml"
    threads: CORES  # times are compared
    resources:
        gpu=1,
        mem_mb=larger(4000),
        runtime=longer(240),
    params:
        settings=settings("minimiser"),
        code=code("measure-overhead"),
        run=RUN.root,
    shell:
        lara("measure-overhead", threads=1)


rule minimisers:
    """Tables and figures of the comparison."""
    input:
        RUN.comparison("overhead"),
        drawn_by("minimisers"),
