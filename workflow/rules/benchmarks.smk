"""What the run cost, rule by rule."""


rule collect_benchmarks:
    """Wall time, processor time and peak memory of every job of this configuration, in one table."""
    input:
        RUN.summary,
        drawn_by("all"),
        rules.verification.input,
        rules.covariance.input,
        rules.data.input,
    output:
        RUN.costs,
    log:
        RUN.log("collect-benchmarks"),
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(2000),
        runtime=longer(20),
    params:
        names=[sorted(CONFIG.datasets), sorted(DEFAULT_AUTOENCODERS), sorted(EXPERIMENTS)],
        code=code("collect-benchmarks"),
        run=RUN.root,
    shell:
        lara("collect-benchmarks")


rule benchmarks:
    """What every job cost."""
    input:
        rules.collect_benchmarks.output,
        drawn_by("benchmarks"),
