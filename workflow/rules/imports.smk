"""What is taken from another run in the place of making it."""

if IMPORTS.networks:

    rule import_statistics:
        """Climatology and scales that the imported networks work in."""
        input:
            IMPORTS.theirs.statistics,
        output:
            RUN.statistics,
        log:
            RUN.log("import-statistics"),
        conda:
            "../../envs/cpu.yaml"
        threads: 1
        resources:
            mem_mb=larger(2000),
            runtime=longer(20),
        params:
            settings=settings("imports.run", "state", "grid"),
            run=RUN.root,
        shell:
            lara("import-statistics")

    rule import_network:
        """Weights, errors and learning curves of a network."""
        input:
            of(IMPORTS.network, "network"),
            theirs=IMPORTS.theirs.statistics,
            statistics=RUN.statistics,
        output:
            RUN.weights("{network}"),
            RUN.errors("{network}"),
            RUN.curves("{network}"),
        log:
            RUN.log("import-network-{network}"),
        wildcard_constraints:
            network=one_of(IMPORTS.networks),
        conda:
            "../../envs/cpu.yaml"
        threads: 1
        resources:
            mem_mb=larger(4000),
            runtime=longer(20),
        params:
            settings=of(SETTINGS.imported_network, "network"),
            run=RUN.root,
        shell:
            lara("import-network")

    ruleorder: import_statistics > compute_statistics

    if "forecaster" in IMPORTS.networks:

        ruleorder: import_network > train_forecaster
        ruleorder: import_network > measure_forecaster


if IMPORTS.spaces:

    rule import_background_error:
        """Background error covariance of a space."""
        input:
            IMPORTS.theirs.background_error("{space}"),
        output:
            RUN.background_error("{space}"),
        log:
            RUN.log("import-background-error-{space}"),
        wildcard_constraints:
            space=one_of(IMPORTS.spaces),
        conda:
            "../../envs/cpu.yaml"
        threads: 1
        resources:
            mem_mb=larger(4000),
            runtime=longer(20),
        params:
            settings=settings("imports.run", "background_error"),
            run=RUN.root,
        shell:
            lara("import-background-error")


if IMPORTS.datasets:

    rule import_dataset:
        """States of a dataset, as links."""
        input:
            of(IMPORTS.dataset, "dataset"),
        output:
            RUN.dataset_part("{dataset}", "{part}"),
        log:
            RUN.log("import-dataset-{dataset}-{part}"),
        wildcard_constraints:
            dataset=one_of(IMPORTS.datasets),
        conda:
            "../../envs/cpu.yaml"
        threads: 1
        resources:
            mem_mb=larger(2000),
            runtime=longer(60),
        params:
            settings=lambda wildcards: settings("imports.run", f"datasets.{wildcards.dataset}"),
            run=RUN.root,
        shell:
            lara("import-dataset")
