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
        settings=of(SETTINGS.delivery, "delivery"),
        run=RUN.root,
    shell:
        lara("download-month")


rule generate_dataset:
    """States of a part of a dataset from its source, month by month; months already sealed are kept."""
    input:
        of(INPUTS.source, "dataset", "part"),
    output:
        RUN.dataset_part("{dataset}", "{part}"),
    log:
        RUN.log("generate-dataset-{dataset}-{part}"),
    benchmark:
        RUN.benchmark("generate-dataset-{dataset}-{part}")
    wildcard_constraints:
        dataset=one_of(set(CONFIG.datasets) - set(IMPORTS.datasets)),
    priority: urgency_of_data
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(month_mb),
        runtime=longer(CONFIG.source.minutes),
    params:
        settings=of(SETTINGS.dataset, "dataset"),
        run=RUN.root,
    shell:
        lara("generate-dataset")


rule compute_statistics:
    """Climatology and scales by one streaming pass over the training datasets."""
    input:
        training=INPUTS.datasets("training"),
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
        code=code("compute-statistics"),
        run=RUN.root,
    shell:
        lara("compute-statistics")


rule data:
    """The datasets of the default target and the statistics; those of other targets are made by them."""
    input:
        RUN.statistics,
        INPUTS.datasets("training"),
        INPUTS.datasets("validation"),
        INPUTS.tests(),


rule downloads:
    """Everything that comes from the Climate Data Store, whole and checked."""
    input:
        [RUN.delivery_receipt(delivery) for name in CONFIG.datasets for delivery in CONFIG.deliveries(name)],
