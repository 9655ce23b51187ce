"""Constants of VGG-16's convolutions but the first, for measuring units of nonuniform quantization.

``PRINTED`` is Table IV of Sun, Lin, Wang, "Intra-Layer Nonuniform Quantization of Convolutional Neural Network", as far
as it is known here: four layers.  The other eight layers are NOT the paper's: their centroids lie on straight lines
between those of the nearest printed layers, rounded to the nearest integer.  Nor are the bits of ENQ.
"""

import itertools
import re

from model.spec import EnqSpec, KnqSpec, LayersSpec

Q_BITS = 12

_TABLE = """
conv1_2 0 0 0 0 0 0 0 0 0 0 0 0 0 1 3 6
        10 15 21 28 36 45 56 69 85 105 128 156 191 234 290 373
conv2_1 0 11 22 35 49 64 80 97 115 134 154 176 200 226 254 284
        316 350 387 426 468 514 563 616 674 739 814 901 1015 1162 1407 1815
conv3_1 0 45 91 138 186 235 285 338 394 453 516 583 653 726 803 886
        977 1075 1181 1299 1428 1570 1730 1908 2092 2286 2517 2760 3041 3394 3834 4096
conv5_3 0 10 22 36 52 71 93 119 148 177 211 248 288 330 370 415
        457 513 553 594 632 662 693 732 757 793 812 849 893 914 943 987
"""
#: Layer -> its centroids d_0, d_1, ..., d_31.
PRINTED = {name: tuple(map(int, numbers.split())) for name, numbers in re.findall(r"(conv\w+)([\d\s]+)", _TABLE)}
#: All layers in their order, and the bits E of ENQ that are taken here: 6, 5, 4, fewer in deeper layers.
BITS = {
    "conv1_2": 6,
    "conv2_1": 6,
    "conv2_2": 6,
    "conv3_1": 5,
    "conv3_2": 5,
    "conv3_3": 5,
    "conv4_1": 5,
    "conv4_2": 5,
    "conv4_3": 5,
    "conv5_1": 4,
    "conv5_2": 4,
    "conv5_3": 4,
}


def _centroids() -> tuple[tuple[int, ...], ...]:
    names, rows = list(BITS), dict(PRINTED)
    places = [names.index(name) for name in PRINTED]
    for first, last in itertools.pairwise(places):
        for place in range(first + 1, last):
            n, along = last - first, place - first
            ends = zip(rows[names[first]], rows[names[last]], strict=True)
            rows[names[place]] = tuple((a * (n - along) + b * along + n // 2) // n for a, b in ends)
    return tuple(rows[name] for name in names)


ENQ = LayersSpec(layers=tuple(EnqSpec(q_bits=Q_BITS, bits=bits) for bits in BITS.values()))
KNQ = LayersSpec(layers=tuple(KnqSpec(q_bits=Q_BITS, centroids=row) for row in _centroids()))
