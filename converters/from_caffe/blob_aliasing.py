"""Which blob names share memory, and which may be read and written where: the rules of Caffe's Net::Init."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from converters.errors import FormatError
from converters.from_caffe import schema
from converters.from_caffe.layers import layer_types
from converters.from_caffe.layers.dropped import is_dropped
from converters.suggestions import close_names


def in_place_tops(layer: schema.Message) -> set[str]:
    """Names of the tops that are the bottom of the same index: Caffe computes these in place."""
    tops, bottoms = layer.top, layer.bottom
    if len(tops) == 1 == len(bottoms):  # as most layers have: each top is looked at several times
        return {tops[0]} if tops[0] == bottoms[0] else set()
    return {top for top, bottom in zip(tops, bottoms, strict=False) if top == bottom}


def check_blob_names(layers: Sequence[schema.Message], excluded: Mapping[str, str] | None = None) -> None:
    """FormatError for a blob read before it is made, made twice, or changed in place after it was read.

    Labels that nothing makes are let pass: a loss or an evaluation reads them, which is left out anyway.
    excluded: what an error says of blobs that only layers outside of this net make, by name.
    """
    reads: dict[str, int] = {}
    for layer in layers:
        in_place = in_place_tops(layer)
        bottoms, tops = list(layer.bottom), list(layer.top)
        if "" in bottoms or "" in tops:
            raise FormatError(f"{_text(layer)} has a bottom or a top without a name")
        for k, bottom in enumerate(bottoms):
            if bottom in reads:
                reads[bottom] += 1
            elif k == 0 or not is_dropped(layer.type):
                hint = _hint(bottom, reads, excluded or {})
                raise FormatError(
                    f"{_text(layer)} reads the blob {bottom!r}, which no layer before it makes{hint}"
                )
        for top in tops:
            if top in in_place and reads[top] > 1:
                raise FormatError(
                    f"{_text(layer)} changes the blob {top!r} in place after another layer read it; Caffe "
                    "refuses"
                )
            if top in reads and top not in in_place:
                raise FormatError(
                    f"{_text(layer)} makes the blob {top!r}, which an earlier layer makes already"
                )
            reads[top] = 0


def storage_ids(layers: Sequence[schema.Message]) -> list[dict[str, int]]:
    """For each layer, the storage of its bottoms and tops by name: in Caffe, equal ids share their memory.

    A layer that works in place changes every blob with that id. The last entry holds all blobs as they are at
    the end of the net.
    """
    current: dict[str, int] = {}
    unused = iter(range(sum(len(layer.bottom) + len(layer.top) for layer in layers)))
    ids = []
    for layer in layers:
        bottoms, tops = list(layer.bottom), list(layer.top)
        for bottom in bottoms:
            current.setdefault(bottom, next(unused))  # an input of the net
        shared = current[bottoms[0]] if _tops_share_memory(layer) else None
        made = {top: next(unused) if shared is None else shared for top in tops}
        current |= made | {top: current[top] for top in in_place_tops(layer)}
        ids.append({name: current[name] for name in (*bottoms, *tops)})
    return [*ids, current]


def _tops_share_memory(layer: schema.Message) -> bool:
    layer_type = layer_types().get(layer.type)
    return layer_type is not None and layer_type.tops_share_memory(layer)


def _text(layer: schema.Message) -> str:
    return f"layer {layer.name!r} ({layer.type})"


def _hint(name: str, made: Mapping[str, int], excluded: Mapping[str, str]) -> str:
    if name in excluded:
        return f"; {excluded[name]}"
    close = close_names(name, made)
    return f"; did you mean {close[0]!r}?" if close else "; layers must stand in the order of computation"
