"""The atmosphere: states of every dataset, and the statistics of the training period."""


rule download_month:
    """A month of one product from the Climate Data Store, checked; a job that was killed takes up its request."""
    output:
        RUN.delivery_receipt("{delivery}"),
    log:
        RUN.log("download-month/{delivery}"),
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        cds_requests=1,
        mem_mb=larger(2000),
        runtime=longer(days_in_queue),
    params:
        settings=download_settings,
        run=RUN.root,
    shell:
        "lara download-month --run {params.run} --delivery {wildcards.delivery} --threads {threads} 2>&1 | tee {log}"


rule generate_dataset:
    """States of one dataset from its source, month by month; months already sealed are kept."""
    input:
        deliveries_of_dataset,
    output:
        RUN.dataset_receipt("{dataset}"),
    log:
        RUN.log("generate-dataset-{dataset}"),
    benchmark:
        RUN.benchmark("generate-dataset-{dataset}")
    priority: urgency_of_data
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(month_mb),
        runtime=longer(240 if SIMULATED else 2880),
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
    priority: URGENCY["training"]
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        code=code("normalise"),
        run=RUN.root,
    shell:
        "lara compute-statistics --run {params.run} --threads {threads} 2>&1 | tee {log}"


rule data:
    """The datasets of the default target and the statistics; those of other targets are made by them."""
    input:
        RUN.statistics,
        [RUN.dataset_receipt(name) for name in DEFAULT_DATASETS],


rule downloads:
    """Everything that comes from the Climate Data Store, whole and checked."""
    input:
        [RUN.delivery_receipt(delivery) for name in CONFIG.datasets for delivery in CONFIG.deliveries(name)],
