"""Time, memory, processors and processes that jobs ask for."""

GIVEN = None if workflow.remote_exec else workflow.global_resources["_cores"].value
CORES = GIVEN or 8  # on a cluster, where no machine is known beforehand
TRAINING_THREADS = max(1, CORES // 2)  # the two networks train side by side


if CONFIG.source.needs_download:  # the profile is the machine's word on it, the configuration the user's
    allowed = getattr(workflow.global_resources.get("cds_requests"), "value", None)  # None, too, in a dry run
    requests = min([CONFIG.source.requests, *([] if allowed is None else [int(allowed)])])
    workflow.register_resource("cds_requests", requests)


GRANTED = workflow.global_resources.get("longest_job")
LONGEST = GRANTED and GRANTED.value  # minutes that the site's queue grants, from its profile


def to_be_timed():
    """Whether a start on this machine makes networks for a target of the default run, which a user waits for."""
    asked = set(workflow.dag_settings.targets or ["all"])
    trained = all(
        Path(RUN.weights(name)).exists() for name in {*DEFAULT_AUTOENCODERS, "forecaster"} - set(IMPORTS.networks)
    )
    return GIVEN is not None and workflow.local_exec and not trained and bool(asked & {"all", "models", "reanalysis"})


# Which jobs go first where processors are few: those that most others wait for. Test data come last, since the networks
# do without them.
URGENCY = {"training": 60, "validation": 50, "networks": 40, "covariance": 30, "reanalysis": 20, "test": 10}


def urgency_of_data(wildcards):
    """Priority of the job that makes a dataset, by what it is used for."""
    return URGENCY[CONFIG.datasets[wildcards.dataset].use]


def longer(minutes):
    """Time limit in minutes, a number or a function of the job, once more for each attempt, within the site's limit."""

    def limit(wildcards, attempt):
        wanted = attempt * (minutes(wildcards) if callable(minutes) else minutes)
        return wanted if LONGEST is None else min(wanted, int(LONGEST))

    return limit


def larger(megabytes):
    """Memory in MB, a number or a function of the job, once more for each attempt."""
    return lambda wildcards, attempt: attempt * (megabytes(wildcards) if callable(megabytes) else megabytes)


def training_minutes(wildcards):
    """An hour and six seconds per step; a training that takes longer goes on from its checkpoint at the next attempt."""
    name = wildcards.get("autoencoder")
    network = CONFIG.autoencoders[name] if name else CONFIG.forecaster
    return 60 + sum(phase.steps for phase in network.training.phases) // 10


def cycling_minutes(wildcards):
    """An hour and five minutes per day and member; longer ones go on from their checkpoint, too."""
    own = CONFIG.experiments[wildcards.experiment]
    chunk = CHUNKS.get((wildcards.experiment, wildcards.get("stream"), wildcards.get("chunk")))
    days = own.days if chunk is None else (chunk.end - chunk.begin).days
    return 60 + 5 * days * own.members


def days_in_queue(wildcards):
    """Minutes that a request may take, with a day for its download."""
    return round(CONFIG.source.patience.queue / 60) + 1440


def month_mb(wildcards):
    """Memory of a job that makes states: a month of them where it is held at once, twice where times are missing."""
    if not CONFIG.source.month_at_once:
        return 3000
    values = len(CONFIG.state.channels) * CONFIG.grid.latitudes * CONFIG.grid.longitudes
    return 3000 + 2 * 4 * values * 31 * (24 // CONFIG.step_hours) // 10**6


def off_gpus():
    """Commands whose rules get no GPU of a profile that says `gpu: 0`, in the place of the one that they may use.

    It is no text of the shell and no parameter: where networks run is no reason to run them again.
    """
    given = {}
    for one in workflow.rules:
        if "gpu" in one.resources and (command := re.search(r"lara ([\w-]+) --run", one.shellcmd or "")):
            given.setdefault(command[1], []).append(str(one.resources["gpu"].raw))
    return [command for command, counts in given.items() if set(counts) == {"0"}]


# One process per GPU that the profile grants, on each node. Text of the shell and no parameter: how many processes
# train is no reason to train again.
LAUNCH = (
    "launch=; [ {resources.gpu} -le 1 ] || launch='torchrun --standalone --nproc-per-node {resources.gpu} --no-python --'; "
    '[ {resources.nodes} -le 1 ] || launch="srun --nodes {resources.nodes} --ntasks {resources.nodes} torchrun'
    " --nnodes {resources.nodes} --nproc-per-node $(({resources.gpu} / {resources.nodes})) --rdzv-backend c10d"
    ' --rdzv-id $SLURM_JOB_ID --rdzv-endpoint $(hostname):29400 --no-python --"; '
)


def launched(command):
    """The command by as many processes as there are GPUs and nodes."""
    return f"{LAUNCH}$launch {command}"
