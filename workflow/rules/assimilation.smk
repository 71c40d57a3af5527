"""Cycled experiments, each leaving an archive."""


rule cycle_experiment:
    """Analyse window after window over the period; archive, feedback and health ledger."""
    input:
        space_of_experiment,
        tuned_factors,
        statistics=RUN.statistics,
        forecaster=RUN.weights("forecaster"),
        model_error=RUN.errors("forecaster"),
        truth=lambda wildcards: RUN.dataset_receipt(CONFIG.experiments[wildcards.experiment].dataset),
        observations=lambda wildcards: RUN.screened(CONFIG.experiments[wildcards.experiment].dataset),
    output:
        archive=RUN.archive_receipt("{experiment}"),
        feedback=RUN.feedback("{experiment}"),
        health=RUN.health("{experiment}"),
        timings=RUN.timings("{experiment}"),
    log:
        RUN.log("cycle-experiment-{experiment}"),
    benchmark:
        RUN.benchmark("cycle-experiment-{experiment}")
    wildcard_constraints:
        experiment=one_of(set(EXPERIMENTS) - set(ENSEMBLES)),
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=720,
    params:
        settings=experiment_settings,
        code=code(*CYCLING, *ARCHIVING),
        run=RUN.root,
    shell:
        "lara cycle-experiment --run {params.run} --experiment {wildcards.experiment}"
        " --threads {threads} 2>&1 | tee {log}"


use rule cycle_experiment as cycle_ensemble with:
    output:
        archive=RUN.archive_receipt("{experiment}"),
        feedback=RUN.feedback("{experiment}"),
        health=RUN.health("{experiment}"),
        timings=RUN.timings("{experiment}"),
        members=RUN.members("{experiment}"),
    wildcard_constraints:
        experiment=one_of(ENSEMBLES),


rule reanalysis:
    """The archive of every experiment of the default suite."""
    input:
        [RUN.archive_receipt(name) for name in CONFIG.suite("reanalysis")],
