"""The shape of small networks: 3 channels on 8 × 16 points in patches of 4 × 4."""

from lara.networks.shape import Shape

SHAPE = Shape(
    channels=3,
    latitude=(75.0, 55.0, 30.0, 10.0, -10.0, -30.0, -55.0, -75.0),
    longitudes=16,
    patch=4,
    halo=1,
    width=16,
    heads=2,
    mlp_ratio=2.0,
    windows=((2, 2),),
)
