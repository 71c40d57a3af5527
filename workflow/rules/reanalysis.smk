"""Cycled experiments, each leaving an archive; monthly means; single observations."""


rule cycle_experiment:
    """Analyse window after window over the period; archive, feedback and health ledger."""
    input:
        of(INPUTS.experiment, "experiment"),
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
        experiment=one_of(set(EXPERIMENTS) - set(ENSEMBLES) - set(STREAMED)),
    priority: URGENCY["reanalysis"]
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=larger(4000),
        runtime=longer(cycling_minutes),
    params:
        settings=of(SETTINGS.experiment, "experiment"),
        code=code("cycle-experiment"),
        run=RUN.root,
    shell:
        lara("cycle-experiment")


use rule cycle_experiment as cycle_ensemble with:
    output:
        archive=RUN.archive_receipt("{experiment}"),
        feedback=RUN.feedback("{experiment}"),
        health=RUN.health("{experiment}"),
        timings=RUN.timings("{experiment}"),
        members=RUN.members("{experiment}"),
    wildcard_constraints:
        experiment=one_of(set(ENSEMBLES) - set(STREAMED)),


CHUNK = RUN.chunk("{experiment}", "{stream}", "{chunk}")


rule cycle_chunk:
    """Cycle a chunk of a stream from where the one before ended; sealed archive of its own, and a restart."""
    input:
        lambda wildcards: INPUTS.chunk(wildcards.experiment, chunk_of(wildcards)),
    output:
        archive=CHUNK.archive_receipt,
        feedback=CHUNK.feedback,
        health=CHUNK.health,
        timings=CHUNK.timings,
        restart=CHUNK.restart,
    log:
        RUN.log("cycle-chunk-{experiment}-{stream}-{chunk}"),
    benchmark:
        RUN.benchmark("cycle-chunk-{experiment}-{stream}-{chunk}")
    wildcard_constraints:
        experiment=one_of(set(STREAMED) - set(ENSEMBLES)),
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=larger(4000),
        runtime=longer(cycling_minutes),
    params:
        settings=lambda wildcards: SETTINGS.chunk(wildcards.experiment, chunk_of(wildcards)),
        code=code("cycle-chunk"),
        run=RUN.root,
    shell:
        lara("cycle-chunk")


use rule cycle_chunk as cycle_ensemble_chunk with:
    output:
        archive=CHUNK.archive_receipt,
        feedback=CHUNK.feedback,
        health=CHUNK.health,
        timings=CHUNK.timings,
        restart=CHUNK.restart,
        members=CHUNK.members,
    wildcard_constraints:
        experiment=one_of(set(STREAMED) & set(ENSEMBLES)),


rule seal_archive:
    """One archive, feedback and ledger of the published chunks of an experiment in streams."""
    input:
        archives=published_chunks("archive_receipt"),
        feedback=published_chunks("feedback"),
        health=published_chunks("health"),
        timings=published_chunks("timings"),
    output:
        archive=RUN.archive_receipt("{experiment}"),
        feedback=RUN.feedback("{experiment}"),
        health=RUN.health("{experiment}"),
        timings=RUN.timings("{experiment}"),
    log:
        RUN.log("seal-archive-{experiment}"),
    benchmark:
        RUN.benchmark("seal-archive-{experiment}")
    wildcard_constraints:
        experiment=one_of(set(STREAMED) - set(ENSEMBLES)),
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(120),
    params:
        settings=of(SETTINGS.attribution, "experiment"),
        code=code("seal-archive"),
        run=RUN.root,
    shell:
        lara("seal-archive")


use rule seal_archive as seal_ensemble_archive with:
    input:
        archives=published_chunks("archive_receipt"),
        feedback=published_chunks("feedback"),
        health=published_chunks("health"),
        timings=published_chunks("timings"),
        members=published_chunks("members"),
    output:
        archive=RUN.archive_receipt("{experiment}"),
        feedback=RUN.feedback("{experiment}"),
        health=RUN.health("{experiment}"),
        timings=RUN.timings("{experiment}"),
        members=RUN.members("{experiment}"),
    wildcard_constraints:
        experiment=one_of(set(STREAMED) & set(ENSEMBLES)),


rule average_months:
    """Means of an experiment's analyses by calendar month, in one NetCDF file."""
    input:
        RUN.archive_receipt("{experiment}"),
    output:
        RUN.monthly_means("{experiment}"),
    log:
        RUN.log("average-months-{experiment}"),
    benchmark:
        RUN.benchmark("average-months-{experiment}")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(120),
    params:
        code=code("average-months"),
        run=RUN.root,
    shell:
        lara("average-months")


rule observe_once:
    """Increments of all cases, each space in one batch."""
    input:
        [path for name in CONFIG.observed_once for path in INPUTS.scheme(name) + INPUTS.factors(name)],
        [INPUTS.truth(name) for name in CONFIG.observed_once[:1]],
    output:
        [RUN.increments(name) for name in CONFIG.single_observations],
    log:
        RUN.log("observe-once"),
    benchmark:
        RUN.benchmark("observe-once")
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=settings("single_observations", "observed_once", "observations.error_std", "minimiser"),
        schemes=[settings(f"experiments.{name}") for name in CONFIG.observed_once],
        code=code("observe-once"),
        run=RUN.root,
    shell:
        lara("observe-once")


rule reanalysis:
    """The archive of every experiment of the default suite."""
    input:
        [RUN.archive_receipt(name) for name in CONFIG.suite("reanalysis")],
