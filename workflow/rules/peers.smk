"""LARA beside other packages on problems with a known answer; asked for by name, as no other stage needs it."""


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
