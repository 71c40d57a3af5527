"""Training: the schedule, what a step sees, and a run that was killed and goes on as if it had not been."""

import csv
import itertools
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from lara import store
from lara.autoencoder import Autoencoder
from lara.grid import Grid
from lara.networks.shape import Shape
from lara.schedule import Stage
from lara.state import Channels
from lara.training import Sequences, area_weighted, batches, spread
from trainings import PLAN, STEP, Killed, Net, alone, content, kept_steps, loss, train


def first_values(batch):
    """Number of the first state of each sequence, from its values."""
    return [int(number) for number in batch[:, 0, 0, 0, 0]]


# The schedule


def test_the_learning_rate_warms_up_and_decays_in_each_stage():
    """By hand, warm-up over 2 of 8 steps and 1 of 4: (n + 1)/2, then ½(1 + cos πj/6); the second stage starts anew."""
    first = [1e-2 * f for f in (0.5, 1.0)] + [1e-2 * 0.5 * (1 + math.cos(math.pi * j / 6)) for j in range(6)]
    second = [1e-3] + [1e-3 * 0.5 * (1 + math.cos(math.pi * j / 3)) for j in range(3)]
    assert [PLAN.learning_rate(step) for step in range(12)] == pytest.approx(first + second, rel=1e-12)


def test_a_stage_of_one_step_and_no_warm_up_trains_at_its_full_rate():
    """The smallest plans of the tests and of `pca` divide by nothing."""
    plan = replace(PLAN, stages=(Stage(1, 0.1, 1), Stage(2, 0.2, 1)), warm_up=0.0)
    assert [plan.learning_rate(step) for step in range(3)] == pytest.approx([0.1, 0.2, 0.2])


def test_passes_count_the_steps_of_rollouts():
    """8 steps of one pass and 4 of two: 0, 3, 8, 10 and 16 passes after 0, 3, 8, 9 and 12 steps."""
    assert [PLAN.passes(step) for step in (0, 3, 8, 9, 12)] == [0, 3, 8, 10, 16]


def test_a_step_past_the_plan_is_an_error():
    """Named, not silently the last stage."""
    assert PLAN.stage(8) == (PLAN.stages[1], 0)
    with pytest.raises(IndexError, match="step 12 is past the 12 steps"):
        PLAN.stage(12)


# What a step sees


def test_sequences_are_consecutive_and_never_cross_stores(stores):
    """All of them: 7 from 9 times, 3 from 5, and neighbours in a sequence differ by one step."""
    sequences = Sequences(stores, 3)
    assert len(sequences) == 10
    numbers = sequences.read(range(10))[:, :, 0, 0, 0]
    assert np.array_equal(np.diff(numbers, axis=1), np.ones((10, 2)))
    assert numbers[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 100, 101, 102]


def test_a_store_too_short_for_a_sequence_gives_none(stores):
    """6 steps fit in the first store alone; 10 fit in none, which is refused with the remedy."""
    assert Sequences(stores, 6).read(range(4))[:, 0, 0, 0, 0].tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="no store holds 10 consecutive states: lengthen"):
        Sequences(stores, 10)


@pytest.mark.parametrize("world", [2, 3])
def test_the_batches_of_all_ranks_are_the_batch_of_one(stores, world):
    """Every sample of a step goes to exactly one process, so several devices train on what one would."""
    samples = {length: Sequences(stores, length) for length in (1, 2)}
    whole = list(batches(samples, PLAN, 0))
    shares = [list(batches(samples, PLAN, 0, rank, world)) for rank in range(world)]
    for step, batch in enumerate(whole):
        parts = [first_values(share[step]) for share in shares]
        assert sorted(itertools.chain(*parts)) == sorted(first_values(batch))
        assert len(batch) == PLAN.batch_size
        assert batch.shape[1] == PLAN.stage(step)[0].rollout


def test_what_a_step_sees_does_not_depend_on_where_the_run_began(stores):
    """The batches from step 5 on are those of a run from the start: bitwise, or a resumed run would differ."""
    samples = {length: Sequences(stores, length) for length in (1, 2)}
    whole, resumed = list(batches(samples, PLAN, 0)), list(batches(samples, PLAN, 5))
    assert len(resumed) == 7
    assert all(torch.equal(a, b) for a, b in zip(whole[5:], resumed, strict=True))
    assert not torch.equal(whole[5], whole[6])


def test_a_batch_repeats_no_sample_unless_there_are_too_few(stores):
    """Drawn without replacement from 14; with replacement from 1."""
    few = Sequences(stores, 9)
    for batch in batches({1: Sequences(stores, 1), 2: few}, PLAN, 0):
        numbers = first_values(batch)
        assert len(set(numbers)) == (4 if batch.shape[1] == 1 else 1)


def test_held_out_samples_are_spread_from_the_first_to_the_last(stores):
    """First and last among them, none twice, no more than there are, each with the time of its first state."""
    parts = list(spread(Sequences(stores, 1), 3, batch=2))
    assert [first_values(states) for _, states in parts] == [[0, 6], [104]]
    assert [times.tolist() for times, _ in parts] == [stores[0].times[[0, 6]].tolist(), stores[1].times[[4]].tolist()]
    assert sum(len(states) for _, states in spread(Sequences(stores, 1), 99)) == 14


def test_the_loss_is_the_weighted_mean_square():
    """Σ w d² / n by hand: weights 3 and 1 on differences 1 and 2, mean (3·1 + 1·4)/2."""
    loss = area_weighted(torch.tensor([3.0, 1.0])[:, None, None])
    predicted = torch.tensor([1.0, 2.0])[None, :, None, None]
    assert loss(predicted.bfloat16(), torch.zeros(1, 2, 1, 1)).item() == 3.5


# A run, its end and its resumption


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_resumed_run_is_the_uninterrupted_run(tmp_path, stores, precision):
    """Weights and curves byte for byte, killed before the first checkpoint, just before one is written, just after,
    between, in the second stage, at the last step, and twice in one run."""
    whole = content(tmp_path / "whole", train(tmp_path / "whole", stores, precision))
    for cuts in ([1], [3], [4], [8], [11], [12], [5, 10]):
        folder = tmp_path / str(cuts)
        for cut in cuts:
            with pytest.raises(Killed):
                train(folder, stores, precision, kill_at=cut)
        assert content(folder, train(folder, stores, precision)) == whole, cuts


def test_training_a_finished_run_again_changes_nothing(tmp_path, stores):
    """The last checkpoint is the end of the plan; weights and curves stay."""
    first = content(tmp_path, train(tmp_path, stores))
    assert content(tmp_path, train(tmp_path, stores, kill_at=1)) == first


def test_a_checkpoint_of_another_training_is_not_resumed_from(tmp_path, stores):
    """A changed setting trains anew: otherwise the finished old run would pass for the new one."""
    train(tmp_path / "changed", stores, identity="first")
    changed = content(tmp_path / "changed", train(tmp_path / "changed", stores, identity="second"))
    assert changed == content(tmp_path / "fresh", train(tmp_path / "fresh", stores, identity="second"))
    with pytest.raises(Killed):
        train(tmp_path / "changed", stores, identity="third", kill_at=1)


def test_curves_hold_every_step_its_rate_and_every_validation(tmp_path, stores):
    """training.csv: 12 rows with the plan's rates; validation.csv: every second step and the last."""
    train(tmp_path, stores)
    training, validation = (
        list(csv.DictReader((tmp_path / f"{name}.csv").read_text().splitlines())) for name in ("training", "validation")
    )
    assert [int(row["step"]) for row in training] == list(range(1, 13))
    assert [float(row["learning_rate"]) for row in training] == [PLAN.learning_rate(step) for step in range(12)]
    assert [int(row["step"]) for row in validation] == [2, 4, 6, 8, 10, 12]
    assert float(training[7]["loss"]) < 0.9 * float(training[0]["loss"])  # learns within the first stage


def test_groups_train_at_their_own_share_of_the_rate(tmp_path, stores):
    """AdamW's first update is the learning rate whatever the gradient: 0.1 × rate and rate, to its ε (1 %)."""
    torch.manual_seed(1)
    before = [value.clone() for value in Net().state_dict().values()]
    plan = replace(PLAN, stages=(Stage(1, 1e-2, 1),), weight_decay=0.0)
    after = list(train(tmp_path, stores, plan=plan).state_dict().values())
    largest = [float((b - a).abs().max()) for a, b in zip(before, after, strict=True)]
    assert largest == pytest.approx([1e-3, 1e-3, 1e-2, 1e-2], rel=0.01)


def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(tmp_path, stores):
    """The step is named and the last checkpoint, from before, is kept."""

    def breaks(model, batch, noise):
        calls.append(1)
        return loss(model, batch, noise) * (math.nan if len(calls) == 8 else 1.0)

    calls = []
    plan = replace(PLAN, validate_every=100)
    with pytest.raises(FloatingPointError, match=r"loss is nan at step 7: lower the learning rate"):
        train(tmp_path, stores, plan=plan, loss=breaks)
    assert kept_steps(tmp_path)[-1] == 6


def test_a_checkpoint_is_whole_or_absent(tmp_path, stores, monkeypatch):
    """A save that is cut short leaves the checkpoint before it, and the run resumes from that."""
    whole = content(tmp_path / "whole", train(tmp_path / "whole", stores))
    original = Fabric.save

    def cut(self, path, state, **rest):
        original(self, path, state, **rest)
        if state["step"] == 9:
            path.write_bytes(path.read_bytes()[:100])
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Fabric, "save", cut)
        with pytest.raises(Killed):
            train(tmp_path / "cut", stores)
    assert kept_steps(tmp_path / "cut")[-1] == 6
    assert content(tmp_path / "cut", train(tmp_path / "cut", stores)) == whole


@pytest.mark.slow
def test_the_loader_reads_ten_times_faster_than_a_step_of_the_default_autoencoder_consumes(tmp_path, capsys):
    """Seconds for a batch of 16 from a real store of 34 channels on 32 × 64, against seconds for one training step on
    it, the best of four each, since machines are shared: reading may take a tenth of the step it runs beside."""
    grid = Grid.gaussian(32, 64)
    channels = Channels.of(["msl", "u10", "v10", "t2m"], ["z", "q", "u", "v", "t"], [200, 300, 500, 700, 850, 925])
    times = np.datetime64("2001-01-01", "ns") + STEP * np.arange(200)
    store.create(tmp_path / "s.zarr", grid, channels, times)
    states = np.random.default_rng(0).standard_normal((200, 34, 32, 64), np.float32)
    store.write_block(tmp_path / "s.zarr", 0, states)
    store.seal(tmp_path / "s.zarr", "all", 0, 200)
    plan = replace(PLAN, stages=(Stage(10, 1e-3, 1),), batch_size=16)
    samples = {1: Sequences([store.open_state(tmp_path / "s.zarr")], 1)}
    loading = min(_seconds_per_batch(samples, replace(plan, seed=seed)) for seed in range(4))
    batch = next(batches(samples, plan, 0))

    shape = Shape(34, tuple(grid.latitude.tolist()), 64, 4, 2, 192, 6, 4.0, ((8, 16),))
    model = Autoencoder(shape, 90, (3, 3))
    fabric = alone("bf16-mixed")
    model, optimiser = fabric.setup(model, torch.optim.AdamW(model.parameters()))
    steps = [_one_step(fabric, model, optimiser, batch[:, 0]) for _ in range(4)]
    ratio = min(steps) / loading
    with capsys.disabled():
        print(f"\nloader {1e3 * loading:.1f} ms per batch, step {1e3 * min(steps):.0f} ms: ratio {ratio:.1f}")  # noqa: T201
    assert ratio >= 10


def _seconds_per_batch(samples, plan):
    begin = time.perf_counter()
    count = sum(1 for _ in batches(samples, plan, 0))
    return (time.perf_counter() - begin) / count


def _one_step(fabric, model, optimiser, state):
    begin = time.perf_counter()
    optimiser.zero_grad()
    fabric.backward((model(state) - state).square().mean())
    optimiser.step()
    return time.perf_counter() - begin
