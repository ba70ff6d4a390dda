"""Widely used image classifiers as Caffe definitions, written from the papers; see `definition` for weights.

Where Caffe and a paper differ (AlexNet's groups, GoogLeNet's rounding, 227 instead of 224), they are as the
published Caffe models. Training-only parts are left out: dropout, auxiliary classifiers.
"""

from __future__ import annotations

from definition import Architecture, Definition
from inception import inception_v3

ARCHITECTURES: dict[str, Architecture] = {}


def architecture(make: Architecture) -> Architecture:
    """Register the decorated function under its name, with dashes."""
    ARCHITECTURES[make.__name__.replace("_", "-")] = make
    return make


architecture(inception_v3)


def _classified(net: Definition, x: str) -> Definition:
    net.other(x, "prob", "Softmax")
    net.scores = x
    return net


def _conv_relu(net: Definition, x: str, name: str, filters: int, kernel: int, **options: int) -> str:
    return net.relu(net.conv(x, name, filters, kernel, **options))


def _conv_bn(net: Definition, x: str, name: str, filters: int, kernel: object, **options: object) -> str:
    """Convolution without bias, BatchNorm and Scale."""
    return net.bn(net.conv(x, name, filters, kernel, bias=False, **options))  # type: ignore[arg-type]


def _conv_bn_relu(net: Definition, x: str, name: str, filters: int, kernel: object, **options: object) -> str:
    return net.relu(_conv_bn(net, x, name, filters, kernel, **options))


@architecture
def alexnet() -> Definition:
    """Krizhevsky et al. 2012, as BVLC's: normalisation before pooling."""
    net = Definition("alexnet", 227)
    x = _conv_relu(net, "data", "conv1", 96, 11, stride=4)
    x = net.pool(net.lrn(x, "norm1"), "pool1", "MAX", 3, stride=2)
    x = _conv_relu(net, x, "conv2", 256, 5, pad=2, group=2)
    x = net.pool(net.lrn(x, "norm2"), "pool2", "MAX", 3, stride=2)
    x = _conv_relu(net, x, "conv3", 384, 3, pad=1)
    x = _conv_relu(net, x, "conv4", 384, 3, pad=1, group=2)
    x = _conv_relu(net, x, "conv5", 256, 3, pad=1, group=2)
    x = net.pool(x, "pool5", "MAX", 3, stride=2)
    x = net.relu(net.fc(x, "fc6", 4096))
    x = net.relu(net.fc(x, "fc7", 4096))
    return _classified(net, net.fc(x, "fc8", 1000))


# Channels of an inception of GoogLeNet: 1x1; 3x3 reduce and 3x3; 5x5 reduce and 5x5; after pooling.
_INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


@architecture
def googlenet() -> Definition:
    """Szegedy et al. 2014."""
    net = Definition("googlenet", 224)
    x = _conv_relu(net, "data", "conv1", 64, 7, stride=2, pad=3)
    x = net.lrn(net.pool(x, "pool1", "MAX", 3, stride=2), "norm1")
    x = _conv_relu(net, x, "conv2/reduce", 64, 1)
    x = net.lrn(_conv_relu(net, x, "conv2", 192, 3, pad=1), "norm2")
    x = net.pool(x, "pool2", "MAX", 3, stride=2)
    for name, (one, three_in, three, five_in, five, after) in _INCEPTIONS.items():
        three_reduced = _conv_relu(net, x, f"{name}/3x3_reduce", three_in, 1)
        five_reduced = _conv_relu(net, x, f"{name}/5x5_reduce", five_in, 1)
        x = net.concat(
            f"{name}/output",
            _conv_relu(net, x, f"{name}/1x1", one, 1),
            _conv_relu(net, three_reduced, f"{name}/3x3", three, 3, pad=1),
            _conv_relu(net, five_reduced, f"{name}/5x5", five, 5, pad=2),
            _conv_relu(net, net.pool(x, f"{name}/pool", "MAX", 3, pad=1), f"{name}/pool_proj", after, 1),
        )
        if name in ("3b", "4e"):
            x = net.pool(x, f"{name}/pool_after", "MAX", 3, stride=2)
    return _classified(net, net.fc(net.pool(x, "pool5", "AVE"), "classifier", 1000))


@architecture
def squeezenet() -> Definition:
    """Iandola et al. 2016, version 1.0."""
    net = Definition("squeezenet", 227)
    x = net.pool(_conv_relu(net, "data", "conv1", 96, 7, stride=2), "pool1", "MAX", 3, stride=2)
    for number, squeeze in enumerate((16, 16, 32, 32, 48, 48, 64, 64), start=2):
        squeezed = _conv_relu(net, x, f"fire{number}/squeeze", squeeze, 1)
        x = net.concat(
            f"fire{number}/concat",
            _conv_relu(net, squeezed, f"fire{number}/expand1x1", 4 * squeeze, 1),
            _conv_relu(net, squeezed, f"fire{number}/expand3x3", 4 * squeeze, 3, pad=1),
        )
        if number in (4, 8):
            x = net.pool(x, f"pool{number}", "MAX", 3, stride=2)
    return _classified(net, net.pool(_conv_relu(net, x, "conv10", 1000, 1), "pool10", "AVE"))


def _resnet(name: str, blocks: tuple[int, ...], bottleneck: bool, squeeze: int = 0) -> Definition:
    """He et al. 2015; with `squeeze`, a squeeze-and-excitation in each block (Hu et al. 2017)."""
    net = Definition(name, 224)
    x = _conv_bn_relu(net, "data", "conv1", 64, 7, stride=2, pad=3)
    x = net.pool(x, "pool1", "MAX", 3, stride=2)
    for stage, count in enumerate(blocks):
        width = 64 << stage
        filters = 4 * width if bottleneck else width
        for block in range(count):
            at, stride = f"res{stage + 2}{chr(97 + block)}", 2 if stage and not block else 1
            short = x
            if net.shapes[x][0] != filters or stride > 1:
                short = _conv_bn(net, x, f"{at}/branch1", filters, 1, stride=stride)
            if bottleneck:
                y = _conv_bn_relu(net, x, f"{at}/branch2a", width, 1, stride=stride)
                y = _conv_bn_relu(net, y, f"{at}/branch2b", width, 3, pad=1)
                y = _conv_bn(net, y, f"{at}/branch2c", filters, 1)
            else:
                y = _conv_bn_relu(net, x, f"{at}/branch2a", width, 3, stride=stride, pad=1)
                y = _conv_bn(net, y, f"{at}/branch2b", width, 3, pad=1)
            if squeeze:
                weights = net.relu(
                    net.conv(net.pool(y, f"{at}/pool", "AVE"), f"{at}/down", filters // squeeze, 1)
                )
                weights = net.other(net.conv(weights, f"{at}/up", filters, 1), f"{at}/weights", "Sigmoid")
                weights = net.flatten(weights, f"{at}/flat")
                y = net.scaled(y, f"{at}/excited", weights)
            x = net.relu(net.add(at, short, y))
    return _classified(net, net.fc(net.pool(x, "pool5", "AVE"), "fc1000", 1000))


@architecture
def resnet_18() -> Definition:
    """He et al. 2015."""
    return _resnet("resnet-18", (2, 2, 2, 2), bottleneck=False)


@architecture
def resnet_50() -> Definition:
    """He et al. 2015; the stride is in the first convolution of a block, as in their Caffe models."""
    return _resnet("resnet-50", (3, 4, 6, 3), bottleneck=True)


@architecture
def se_resnet_50() -> Definition:
    """Hu et al. 2017."""
    return _resnet("se-resnet-50", (3, 4, 6, 3), bottleneck=True, squeeze=16)


@architecture
def densenet_121() -> Definition:
    """Huang et al. 2016: BatchNorm and ReLU come before each convolution."""
    net = Definition("densenet-121", 224)
    x = net.pool(
        _conv_bn_relu(net, "data", "conv1", 64, 7, stride=2, pad=3), "pool1", "MAX", 3, stride=2, pad=1
    )
    for block, count in enumerate((6, 12, 24, 16), start=2):
        for layer in range(1, count + 1):
            at = f"conv{block}_{layer}"
            y = net.conv(net.relu(net.bn(x, top=f"{at}/x1/bn")), f"{at}/x1", 128, 1, bias=False)
            y = net.conv(net.relu(net.bn(y, top=f"{at}/x2/bn")), f"{at}/x2", 32, 3, pad=1, bias=False)
            x = net.concat(f"concat_{block}_{layer}", x, y)
        x = net.relu(net.bn(x, top=f"conv{block}_blk/bn"))
        if block < 5:
            x = net.conv(x, f"conv{block}_blk", net.shapes[x][0] // 2, 1, bias=False)
            x = net.pool(x, f"pool{block}", "AVE", 2, stride=2)
    return _classified(net, net.conv(net.pool(x, "pool5", "AVE"), "fc6", 1000, 1))


@architecture
def mobilenet_v1() -> Definition:
    """Howard et al. 2017: depthwise convolutions are convolutions with a group for each channel."""
    net = Definition("mobilenet-v1", 224)
    x = _conv_bn_relu(net, "data", "conv1", 32, 3, stride=2, pad=1)
    strides = {2: 2, 4: 2, 6: 2, 12: 2}
    for number, filters in enumerate((64, 128, 128, 256, 256, *[512] * 6, 1024, 1024), start=1):
        channels = net.shapes[x][0]
        x = _conv_bn_relu(
            net, x, f"conv{number}/dw", channels, 3, stride=strides.get(number, 1), pad=1, group=channels
        )
        x = _conv_bn_relu(net, x, f"conv{number}/sep", filters, 1)
    return _classified(net, net.conv(net.pool(x, "pool6", "AVE"), "fc7", 1000, 1))


@architecture
def mobilenet_v2() -> Definition:
    """Sandler et al. 2018; ReLU as Caffe has it, without the bound of 6."""
    net = Definition("mobilenet-v2", 224)
    x = _conv_bn_relu(net, "data", "conv1", 32, 3, stride=2, pad=1)
    for stage, (expand, filters, count, first) in enumerate(
        [
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ]
    ):
        for block in range(count):
            at, stride, channels = f"block{stage}_{block}", 1 if block else first, net.shapes[x][0]
            wide = channels * expand
            y = _conv_bn_relu(net, x, f"{at}/expand", wide, 1)
            y = _conv_bn_relu(net, y, f"{at}/dwise", wide, 3, stride=stride, pad=1, group=wide)
            y = _conv_bn(net, y, f"{at}/linear", filters, 1)
            x = net.add(at, x, y) if stride == 1 and channels == filters else y
    x = _conv_bn_relu(net, x, "conv_last", 1280, 1)
    return _classified(net, net.conv(net.pool(x, "pool", "AVE"), "fc7", 1000, 1))


@architecture
def nin() -> Definition:
    """Lin et al. 2013."""
    net = Definition("nin", 224)
    x = "data"
    for number, (filters, kernel, stride, pad) in enumerate(
        [(96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1), (1024, 3, 1, 1)], start=1
    ):
        x = _conv_relu(net, x, f"conv{number}", filters, kernel, stride=stride, pad=pad)
        x = _conv_relu(net, x, f"cccp{number}a", filters, 1)
        x = _conv_relu(net, x, f"cccp{number}b", filters if number < 4 else 1000, 1)
        if number < 4:
            x = net.pool(x, f"pool{number}", "MAX", 3, stride=2)
    return _classified(net, net.pool(x, "pool4", "AVE"))


@architecture
def vgg_16() -> Definition:
    """Simonyan and Zisserman 2014."""
    net = Definition("vgg-16", 224)
    x = "data"
    for stage, (filters, count) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], start=1):
        for number in range(1, count + 1):
            x = _conv_relu(net, x, f"conv{stage}_{number}", filters, 3, pad=1)
        x = net.pool(x, f"pool{stage}", "MAX", 2, stride=2)
    x = net.relu(net.fc(net.relu(net.fc(x, "fc6", 4096)), "fc7", 4096))
    return _classified(net, net.fc(x, "fc8", 1000))
