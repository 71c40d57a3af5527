"""How fast data come in. A target of its own: nothing else may run beside."""


rule compare_loaders:
    """Random training batches by LARA's reader, a memory map, zarr-python and zarrs."""
    input:
        RUN.peers_installed,
        RUN.dataset_receipt(CONFIG.using("training")[0]),
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
        RUN.dataset_receipt(CONFIG.using("training")[0]),
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
