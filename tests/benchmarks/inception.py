"""Inception v3 (Szegedy et al. 2015), which has more kinds of blocks than other nets; see `architectures`."""

from __future__ import annotations

from definition import Definition

# A branch of a block: kernels (a number, or height and width) with their filters.
Branch = tuple[tuple[int | tuple[int, int], int], ...]


def _conv(
    net: Definition, x: str, name: str, filters: int, kernel: object, stride: int = 1, pad: object = 0
) -> str:
    return net.relu(net.bn(net.conv(x, name, filters, kernel, stride=stride, pad=pad, bias=False)))  # type: ignore[arg-type]


def _branch(net: Definition, x: str, name: str, branch: Branch, last_stride: int = 1) -> str:
    """Convolutions in a row that keep the size; with a stride, the last one has no padding."""
    for number, (kernel, filters) in enumerate(branch):
        last = number == len(branch) - 1 and last_stride > 1
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        pad = (0, 0) if last else (high // 2, wide // 2)
        x = _conv(net, x, f"{name}_{number}", filters, (high, wide), last_stride if last else 1, pad)
    return x


def _mixed(net: Definition, x: str, name: str, branches: list[Branch], pooled: int) -> str:
    """Branches side by side, and one that averages before a 1x1 convolution."""
    parts = [_branch(net, x, f"{name}/b{k}", branch) for k, branch in enumerate(branches)]
    average = net.pool(x, f"{name}/pool", "AVE", 3, pad=1)
    return net.concat(name, *parts, _conv(net, average, f"{name}/pool_proj", pooled, 1))


def _reduction(net: Definition, x: str, name: str, branches: list[Branch]) -> str:
    """Branches that halve the size, and a maximum."""
    parts = [_branch(net, x, f"{name}/b{k}", branch, last_stride=2) for k, branch in enumerate(branches)]
    return net.concat(name, *parts, net.pool(x, f"{name}/pool", "MAX", 3, stride=2))


def _mixed_8(net: Definition, x: str, name: str) -> str:
    """The blocks at 8x8, whose branches end in a 1x3 and a 3x1 side by side."""
    parts = [_conv(net, x, f"{name}/b0", 320, 1)]
    for k, start in enumerate([((1, 384),), ((1, 448), (3, 384))], start=1):
        y = _branch(net, x, f"{name}/b{k}", start)
        parts += [_conv(net, y, f"{name}/b{k}_1x3", 384, (1, 3), pad=(0, 1))]
        parts += [_conv(net, y, f"{name}/b{k}_3x1", 384, (3, 1), pad=(1, 0))]
    average = net.pool(x, f"{name}/pool", "AVE", 3, pad=1)
    return net.concat(name, *parts, _conv(net, average, f"{name}/pool_proj", 192, 1))


def inception_v3() -> Definition:
    """The net for images of 299x299."""
    net = Definition("inception-v3", 299)
    x = _conv(net, "data", "conv1", 32, 3, stride=2)
    x = _conv(net, _conv(net, x, "conv2", 32, 3), "conv3", 64, 3, pad=1)
    x = _conv(net, net.pool(x, "pool1", "MAX", 3, stride=2), "conv4", 80, 1)
    x = net.pool(_conv(net, x, "conv5", 192, 3), "pool2", "MAX", 3, stride=2)
    for number, pooled in enumerate((32, 64, 64)):
        branches: list[Branch] = [((1, 64),), ((1, 48), (5, 64)), ((1, 64), (3, 96), (3, 96))]
        x = _mixed(net, x, f"mixed{number}", branches, pooled)
    x = _reduction(net, x, "mixed3", [((3, 384),), ((1, 64), (3, 96), (3, 96))])
    for number, w in enumerate((128, 160, 160, 192), start=4):
        wide, high = (1, 7), (7, 1)
        branches = [
            ((1, 192),),
            ((1, w), (wide, w), (high, 192)),
            ((1, w), (high, w), (wide, w), (high, w), (wide, 192)),
        ]
        x = _mixed(net, x, f"mixed{number}", branches, 192)
    long: Branch = ((1, 192), ((1, 7), 192), ((7, 1), 192), (3, 192))
    x = _reduction(net, x, "mixed8", [((1, 192), (3, 320)), long])
    x = _mixed_8(net, _mixed_8(net, x, "mixed9"), "mixed10")
    net.other(net.fc(net.pool(x, "pool3", "AVE"), "softmax", 1000), "prob", "Softmax")
    return net
