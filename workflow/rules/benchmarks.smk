"""What the run cost, rule by rule."""


rule collect_benchmarks:
    """Wall time, processor time and peak memory of every job of this configuration, in one table and one figure."""
    input:
        RUN.summary,
        [RUN.figure(name) for name in DEFAULT_FIGURES],
        rules.verification.input,
        rules.covariance.input,
        rules.data.input,
    output:
        table=RUN.costs,
        figure=report(RUN.figure("costs"), category="methods"),
        pdf=RUN.figure_pdf("costs"),
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
