"""Benchmarks: what every job cost, and targets of their own that compare times, beside which nothing else may run."""


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


rule install_peers:
    """The peers, pinned, in an environment of their own."""
    input:
        Path(workflow.basedir) / "envs" / "peers.txt",
    output:
        RUN.peers_installed,
    log:
        RUN.log("install-peers"),
    benchmark:
        RUN.benchmark("install-peers")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(2000),
        runtime=longer(30),
    params:
        run=RUN.root,
    shell:
        lara("install-peers")


rule compare_linear_gaussian:
    """3D-Var and 4D-Var against the analytic answer and ADAO: error, evaluations, time."""
    input:
        RUN.peers_installed,
    output:
        RUN.comparison("linear_gaussian"),
    log:
        RUN.log("compare-linear-gaussian"),
    benchmark:
        RUN.benchmark("compare-linear-gaussian")
    conda:
        "../../envs/cpu.yaml"
    threads: CORES  # times are compared: nothing else runs beside
    resources:
        mem_mb=larger(4000),
        runtime=longer(30),
    params:
        code=code("compare-linear-gaussian"),
        run=RUN.root,
    shell:
        lara("compare-linear-gaussian", threads=1)


rule compare_lorenz96:
    """Cycled 4D-Var of Lorenz-96 beside DAPPER's filters and smoothers, on one truth and its observations."""
    input:
        RUN.peers_installed,
    output:
        RUN.comparison("lorenz96"),
    log:
        RUN.log("compare-lorenz96"),
    benchmark:
        RUN.benchmark("compare-lorenz96")
    conda:
        "../../envs/cpu.yaml"
    threads: CORES  # as above
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        code=code("compare-lorenz96"),
        run=RUN.root,
    shell:
        lara("compare-lorenz96", threads=1)


rule peers:
    """Every comparison."""
    input:
        drawn_by("peers"),


rule compare_loaders:
    """Random training batches by LARA's reader, a memory map, zarr-python and zarrs."""
    input:
        RUN.peers_installed,
        INPUTS.dataset(CONFIG.using("training")[0]),
    output:
        RUN.comparison("loaders"),
    log:
        RUN.log("compare-loaders"),
    benchmark:
        RUN.benchmark("compare-loaders")
    conda:
        "../../envs/cpu.yaml"
    threads: CORES  # times are compared
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        code=code("compare-loaders"),
        run=RUN.root,
    shell:
        lara("compare-loaders", threads=1)


rule measure_ingestion:
    """A downloaded month: decoded, checked, regridded, each over bare decoding."""
    input:
        [RUN.delivery_receipt(name) for name in CONFIG.deliveries(CONFIG.using("training")[0])[:1]],
        INPUTS.dataset(CONFIG.using("training")[0]),
    output:
        RUN.comparison("ingestion"),
    log:
        RUN.log("measure-ingestion"),
    benchmark:
        RUN.benchmark("measure-ingestion")
    conda:
        "../../envs/cpu.yaml"
    threads: CORES  # times are compared
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        code=code("measure-ingestion"),
        run=RUN.root,
    shell:
        lara("measure-ingestion", threads=1)


rule measure_archive:
    """A month of the reference experiment written and read as an archive and as bare arrays."""
    input:
        RUN.archive_receipt(REFERENCE),
    output:
        RUN.comparison("archive"),
    log:
        RUN.log("measure-archive"),
    benchmark:
        RUN.benchmark("measure-archive")
    conda:
        "../../envs/cpu.yaml"
    threads: CORES  # times are compared
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        code=code("measure-archive"),
        run=RUN.root,
    shell:
        lara("measure-archive", threads=1)


rule data_benchmarks:
    """Rates of reading, of archiving and, where GRIB is downloaded, of ingesting."""
    input:
        rules.measure_archive.output,
        rules.compare_loaders.output,
        rules.measure_ingestion.output if CONFIG.source.needs_download else [],
