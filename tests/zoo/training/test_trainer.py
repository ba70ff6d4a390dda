"""The loop on nets of other kinds, and the layers that act as one over several processes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_training import PREPROCESSING, small_data, small_job, small_recipe
from torch import nn

from zoo.evaluation.distributed import SingleProcess
from zoo.evaluation.settings import Settings
from zoo.training.checkpoints import read_checkpoint
from zoo.training.images import Batch, TrainingImages
from zoo.training.recipe import Augmentation
from zoo.training.shared_layers import MovingAverages, Share, share_layers
from zoo.training.stage_run import train_stage
from zoo.training.stages import STAGES
from zoo.training.train import train
from zoo.training.trainer import Trainer, TrainingData


class Sequences:
    """Noise of 5 steps; the class is the one of three values that is larger in the first step."""

    def __init__(self, count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.values = torch.from_numpy(rng.standard_normal((count, 5, 3)).astype(np.float32) / 4)
        self.labels = torch.from_numpy(rng.integers(0, 3, count))
        self.values[torch.arange(count), 0, self.labels] += 1

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, seed, epoch, size, *, part_size=None, skip=0, rank=0, ranks=1):
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(self)))
        yield from self._batches(order[skip * size :], size)

    def in_order(self, size, *, rank=0, ranks=1):
        yield from self._batches(torch.arange(len(self)), size)

    def _batches(self, order, size):
        for part in order.split(size):
            yield Batch(self.values[part], self.labels[part], 0, len(part))


class SequenceNet(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.recurrent = kind(3, 16, batch_first=True)
        self.fc = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.recurrent(x)[0][:, -1])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_recurrent_net_learns_and_keeps_its_gates_sparse(kind):
    torch.manual_seed(0)
    phase = {"epochs": 6, "learning_rate": {"policy": "fixed", "base": 0.2}}
    recipe = small_recipe(
        batch_size=32, weight_decay=0.0, pruning={"sparsity": 0.5}, dense=phase, sparse=phase, redense=phase
    )
    data = TrainingData(Sequences(512, 0), Sequences(256, 1))
    trainer = Trainer(SequenceNet(kind), data, recipe, 1, torch.device("cpu"), SingleProcess())
    ends = {}
    for stage in STAGES[:3]:
        start = trainer.state() if stage.after is None else ends[stage.after].net
        ends[stage.name] = train_stage(trainer, stage, start, None)
    gates = 4 if kind is nn.LSTM else 3
    for name in ("recurrent.weight_ih_l0", "recurrent.weight_hh_l0"):
        for gate in ends["sparse"].net[name].chunk(gates):
            assert int((gate == 0).sum()) == gate.numel() // 2
        assert int((ends["dsd"].net[name] == 0).sum()) == 0
    right = {name: end.records[-1].top1 for name, end in ends.items()}
    assert right["dsd"] > 0.85 * 256  # chance gives a third
    assert right["sparse"] > 0.6 * 256


def test_moving_averages_are_those_of_caffe():
    """Caffe keeps sums: s = f s + value, w = f w + 1, and divides s by w."""
    fraction = 0.9
    norm = nn.BatchNorm1d(1, momentum=1 - fraction)
    averages = MovingAverages(norm)
    total = weight = 0.0
    rng = np.random.default_rng(0)
    for step in range(1, 8):
        x = rng.standard_normal((5, 1)).astype(np.float32) + step
        averages.before_step(step)
        norm(torch.from_numpy(x))
        total, weight = fraction * total + x.mean(), fraction * weight + 1
        assert norm.running_mean.item() == pytest.approx(total / weight, rel=1e-5)


def test_a_batch_in_parts_gives_the_losses_of_the_whole_batch(tmp_path):
    """With dropout and a mask; each part has the dropout that it has in the whole batch."""
    recipes = [small_recipe(images_at_once=part) for part in (None, 1, 3, 7, 100)]
    found = []
    for k, recipe in enumerate(recipes):
        (tmp_path / str(k)).mkdir()
        job = small_job(tmp_path / str(k), norm=False, recipe=recipe)
        train(job, tmp_path / str(k) / "run")
        ends = [
            read_checkpoint(tmp_path / str(k) / "run" / "seed-3" / f"{name}.safetensors")
            for name in ("sparse", "dsd")
        ]
        found.append(ends)
    for ends in found[1:]:
        for end, whole in zip(ends, found[0], strict=True):
            losses = [[record.loss for record in one.records] for one in (end, whole)]
            assert losses[0] == pytest.approx(losses[1], rel=1e-5)
            for key, tensor in whole.net.items():
                torch.testing.assert_close(end.net[key], tensor, rtol=1e-4, atol=1e-6)


def test_no_more_images_than_stated_go_through_the_net_at_once(tmp_path):
    """And batch normalisation counts each part, as Caffe does with iter_size: the sums stay averages."""
    recipe = small_recipe(batch_size=7, images_at_once=3, augmentation={})
    data, test = small_data(tmp_path)
    images, measured = (TrainingImages(d, Settings(PREPROCESSING), Augmentation()) for d in (data, test))
    net = nn.Sequential(nn.BatchNorm2d(3, momentum=0.1), nn.Flatten(), nn.Linear(192, 3))
    seen: list[torch.Tensor] = []
    net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]) if module.training else None)
    options = {"starts_from_nothing": True}
    group = SingleProcess()
    trainer = Trainer(net, TrainingData(images, measured), recipe, 3, torch.device("cpu"), group, **options)
    train_stage(trainer, STAGES[0], trainer.state(), None)
    # Two epochs of 24 images: three batches of 7, and one of 3, which is one part.
    assert [len(part) for part in seen] == [2, 2, 3, 2, 2, 3, 2, 2, 3, 3] * 2
    total = weight = 0.0
    for part in seen:
        total, weight = 0.9 * total + part.double().mean((0, 2, 3)), 0.9 * weight + 1
    torch.testing.assert_close(net[0].running_mean.double(), total / weight, rtol=1e-5, atol=1e-6)


def test_dropout_drops_the_same_values_whoever_computes_them():
    x = torch.rand(7, 3, 4, 4) + 1

    def dropped(kind: type[nn.Module], first: int, count: int) -> torch.Tensor:
        share = Share(first, count, 7)
        net = nn.Sequential(kind(0.4))
        share_layers(net, share, processes=2)
        torch.manual_seed(5)
        return net.train()(x[first : first + count])

    for kind in (nn.Dropout, nn.Dropout2d):
        whole = dropped(kind, 0, 7)
        assert torch.equal(torch.cat([dropped(kind, 0, 3), dropped(kind, 3, 4)]), whole)
        kept = whole != 0
        torch.testing.assert_close(whole[kept], x[kept] / 0.6)
        assert 0.3 < kept.float().mean() < 0.9
        if kind is nn.Dropout2d:
            assert set(kept.float().mean(dim=(2, 3)).ravel().tolist()) <= {0.0, 1.0}


def test_factors_of_biases_are_those_of_the_recipe(tmp_path):
    """Of two steps without momentum, one with a doubled rate and no decay for the biases: as written out."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    data, test = small_data(tmp_path)
    images = TrainingImages(data, Settings(PREPROCESSING), Augmentation())
    recipe = small_recipe(
        batch_size=24,
        momentum=0,
        weight_decay=0.1,
        biases={"learning_rate": 2, "weight_decay": 0},
        dense={"epochs": 1, "learning_rate": {"policy": "fixed", "base": 0.01}},
    )
    before = {key: value.clone() for key, value in net.state_dict().items()}
    (batch,) = images.batches(3, 0, 24)
    nn.functional.cross_entropy(net(batch.images), batch.labels).backward()
    gradients = {name: parameter.grad.clone() for name, parameter in net.named_parameters()}
    measured = TrainingImages(test, Settings(PREPROCESSING), Augmentation())
    trainer = Trainer(net, TrainingData(images, measured), recipe, 3, torch.device("cpu"), SingleProcess())
    end = train_stage(trainer, replace(STAGES[0]), before, None)
    weight, bias = "1.weight", "1.bias"
    expected = before[weight] - 0.01 * (gradients[weight] + 0.1 * before[weight])
    torch.testing.assert_close(end.net[weight], expected)
    torch.testing.assert_close(end.net[bias], before[bias] - 0.02 * gradients[bias])
