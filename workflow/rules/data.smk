"""The atmosphere: states of every dataset, and the statistics of the training period."""


rule generate_dataset:
    """States of one member over one period, month by month; months already sealed are kept."""
    output:
        RUN.dataset_receipt("{dataset}"),
    log:
        RUN.log("generate-dataset-{dataset}"),
    benchmark:
        RUN.benchmark("generate-dataset-{dataset}")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        settings=dataset_settings,
        run=RUN.root,
    shell:
        "lara generate-dataset --run {params.run} --dataset {wildcards.dataset} --threads {threads} 2>&1 | tee {log}"


rule compute_statistics:
    """Climatology and scales by one streaming pass over the training datasets."""
    input:
        training=[RUN.dataset_receipt(name) for name in CONFIG.using("training")],
    output:
        RUN.statistics,
    log:
        RUN.log("compute-statistics"),
    benchmark:
        RUN.benchmark("compute-statistics")
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("normalise"),
        run=RUN.root,
    shell:
        "lara compute-statistics --run {params.run} --threads {threads} 2>&1 | tee {log}"


rule data:
    """Every dataset and the statistics."""
    input:
        RUN.statistics,
        [RUN.dataset_receipt(name) for name in CONFIG.datasets],
