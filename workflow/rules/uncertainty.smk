"""Ensembles of analyses: spread against error. A target of its own."""


rule score_ensemble:
    """Spread, error of the mean, CRPS and ranks of the truth by region and time, and over the times scored."""
    input:
        truth=of(INPUTS.truth, "experiment"),
        members=RUN.members("{experiment}"),
    output:
        sums=RUN.ensemble_scores("{experiment}"),
        finished=RUN.finished_ensemble_scores("{experiment}"),
    log:
        RUN.log("score-ensemble-{experiment}"),
    benchmark:
        RUN.benchmark("score-ensemble-{experiment}")
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=larger(4000),
        runtime=longer(60),
    params:
        settings=lambda wildcards: settings("seed") | {"spin_up_days": CONFIG.spin_up_days(wildcards.experiment)},
        code=code("score-ensemble"),
        run=RUN.root,
    shell:
        lara("score-ensemble")


rule uncertainty:
    """Scores and figures of every ensemble."""
    input:
        [RUN.scores(name) for name in ENSEMBLES],
        drawn_by("uncertainty"),
