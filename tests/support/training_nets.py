"""Parts of training definitions: data layers without channels, first layers, and many layers behind them."""

from __future__ import annotations

import itertools

DATA = 'layer {{ name: "data" type: "Data" top: "data" data_param {{ batch_size: 2 }} {} }} '
CROPPED = DATA.format("transform_param { crop_size: 8 }")
CONV = (
    'layer {{ name: "conv" type: "Convolution" bottom: "{}" top: "out" '
    "convolution_param {{ num_output: 2 kernel_size: 1 bias_term: false {} }} }} "
)
PRODUCT = (
    'layer {{ name: "fc" type: "InnerProduct" bottom: "{}" top: "out" '
    "inner_product_param {{ num_output: 2 bias_term: false {} }} }} "
)


def chain(layers: int) -> str:
    kinds = itertools.cycle(["ReLU", "Power", "Dropout"])
    return "".join(
        f'layer {{ name: "l{k}" type: "{kind}" bottom: "data" top: "data" }} '
        for k, kind in zip(range(layers), kinds, strict=False)
    )


def blocks(layers: int) -> str:
    def block(k: int) -> str:
        bottom = f"c{k - 1}" if k else "data"
        return (
            f'layer {{ name: "c{k}" type: "Convolution" bottom: "{bottom}" top: "c{k}" '
            "convolution_param { num_output: 2 kernel_size: 1 } } "
            f'layer {{ name: "b{k}" type: "BatchNorm" bottom: "c{k}" top: "c{k}" }} '
            f'layer {{ name: "r{k}" type: "ReLU" bottom: "c{k}" top: "c{k}" }} '
        )

    return "".join(map(block, range(layers // 3)))


def diamonds(layers: int) -> str:
    def diamond(k: int) -> str:
        bottom = f"x{k - 1}" if k else "data"
        return (
            f'layer {{ name: "a{k}" type: "ReLU" bottom: "{bottom}" top: "a{k}" }} '
            f'layer {{ name: "b{k}" type: "Power" bottom: "{bottom}" top: "b{k}" }} '
            f'layer {{ name: "x{k}" type: "Eltwise" bottom: "a{k}" bottom: "b{k}" top: "x{k}" }} '
        )

    return "".join(map(diamond, range(layers // 3)))
