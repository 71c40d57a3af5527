"""Small arrays as every figure keeps them: a function per figure file, of its name, gives what its `draw` is given."""

import numpy as np
import pandas as pd
import xarray as xr

from lara.figures import maps, style
from lara.grid import Grid
from lara.observations.network import draw_network
from lara.stages.verification.paired_table import table_of
from lara.verification import ensemble, regions, significance

SURFACE = ["msl", "u10", "v10", "t2m"]
LEVELS = [50, 200, 300, 500, 700, 850, 925, 1000]
CHANNELS = SURFACE + [f"{variable}{level}" for variable in "zquvt" for level in LEVELS]
HEADLINE = ["z500", "t850", "u500"]
EXPERIMENTS = ["free", "autoencoder-only", "pca", "l4dvar"]
SOURCES = ["truth", "reconstruction", "l4dvar", "free"]
METHODS = ["free", "3dvar", "4dvar", "l3dvar", "l4dvar"]
DAY = np.timedelta64(24, "h").astype("timedelta64[ns]")
TIMES = np.datetime64("2001-01-01", "ns") + np.arange(160) * np.timedelta64(6, "h")
DAYS = TIMES[::4]
GRID = Grid.gaussian(32, 64)


def rng():
    """The same numbers for every sample."""
    return np.random.default_rng(0)


def size(channels):
    """Mean square of an error by channel, SI²."""
    return np.array([{"z": 4e5, "q": 1e-6, "msl": 1e5}.get(style.channel(name).variable, 9.0) for name in channels])


def squared_errors(channels):
    """Squared errors (experiment, time, channel), SI², that fall from free to l4dvar."""
    level = np.array([1.0, 0.8, 0.4, 0.3])[:, None, None]
    grown = level * (1 - 0.5 * np.exp(-np.arange(len(TIMES)) / 20))[:, None] * size(channels)
    values = grown * np.exp(0.3 * rng().standard_normal((len(EXPERIMENTS), len(TIMES), len(channels))))
    coords = {"experiment": EXPERIMENTS, "time": TIMES, "channel": channels}
    return xr.DataArray(values, coords, ("experiment", "time", "channel"))


def waves(zonal, amplitude=1.0):
    """A wave of a zonal wavenumber, strongest at the equator (latitude, longitude)."""
    latitude, longitude = np.deg2rad(GRID.latitude)[:, None], np.deg2rad(GRID.longitude)[None]
    return amplitude * np.cos(latitude) ** 2 * np.sin(zonal * longitude + 3 * latitude)


def on_map(**fields):
    """Fields of the last two axes latitude and longitude."""
    coords = {"latitude": GRID.latitude, "longitude": GRID.longitude}
    return xr.Dataset({name: (("latitude", "longitude"), field) for name, field in fields.items()}, coords)


def interval(rmse, width=0.1):
    """`rmse` with ends of an interval about it."""
    return {"rmse": rmse, "low": (1 - width) * rmse, "high": (1 + width) * rmse}


def rmse_over_time():
    names = ["z500", "t850", "u500", "msl"]
    found = significance.evaluate(squared_errors(names), TIMES[40], 16, rng())
    floor = xr.DataArray([100.0, 0.4, 0.6, 60.0], {"channel": names}, "channel")
    return found.assign(floor=floor).assign_attrs(headline=names)


def rmse_by_level():
    return significance.rmse_interval(squared_errors(CHANNELS), 16, rng(), dim="time")


def analysis_maps():
    truth = 5.2e4 + waves(0, 0.0) + 3e3 * np.cos(np.deg2rad(GRID.latitude))[:, None] ** 2 + waves(5, 800.0)
    increment = waves(3, 300.0)
    fields = on_map(truth=truth, background=truth - increment, analysis=truth - 0.4 * increment)
    fields = fields.assign(increment=fields["analysis"] - fields["background"], land=maps.land(fields))
    sites = draw_network(GRID, 90, 0, 0.1, rng())
    columns = {f"site_{name}": ("site", sites[name].to_numpy()) for name in ("latitude", "longitude", "withheld")}
    return fields.assign(columns).assign_attrs(channel="z500", time="2001-02-03 00:00")


def osse():
    """As the experiments make it: 40 daily times, errors of one day common to all methods."""
    generator, leads = rng(), np.array([0, 1, 3, 5]) * DAY
    scale = np.array([1e5, 2.0, 9.0]) * np.array([0.2, 0.4, 1.0, 1.8])[:, None]
    method = np.array([3.0, 0.8, 0.55, 0.6, 0.5])[:, None, None, None]
    common = np.exp(0.5 * generator.standard_normal((1, 40, 4, 3)))
    values = scale * method * common * np.exp(0.2 * generator.standard_normal((5, 40, 4, 3)))
    coordinates = {"experiment": METHODS, "init": DAYS, "lead_time": leads, "channel": HEADLINE}
    return table_of(xr.DataArray(values, coordinates, list(coordinates)), "4dvar", 5, lambda: generator)


def spread_skill():
    """An ensemble whose spread exceeds the error of its mean."""
    generator, grid = rng(), Grid.gaussian(8, 16)
    shape, scale = (120, 3, *grid.shape), np.array([300.0, 1.5, 3.0])[:, None, None]
    members = 0.6 * generator.standard_normal((1, *shape)) + 0.8 * generator.standard_normal((10, *shape))
    shares = regions.shares(grid.latitude, grid.area_weights)
    sums = ensemble.sums(scale * members, np.zeros(shape), shares, TIMES[:120], HEADLINE, lambda _: generator)
    return ensemble.evaluate(sums, TIMES[20], 20, generator)


def fig3_osse():
    lead = np.arange(5) * DAY
    growth = (1 + np.arange(5))[:, None] * np.sqrt(size(HEADLINE))
    level = np.array([1.0, 0.6, 0.4, 0.5, 0.3])
    curves = interval(
        xr.DataArray(
            level[:, None, None] * growth,
            {"experiment": METHODS, "lead_time": lead, "channel": HEADLINE},
            ("experiment", "lead_time", "channel"),
        )
    )
    dots = {key: value.isel(lead_time=0, drop=True) for key, value in curves.items()}
    fields = {f"forecast_{key}": value for key, value in curves.items()}
    fields |= {f"analysis_{key}": value for key, value in dots.items()}
    floor = xr.DataArray(0.2 * np.sqrt(size(HEADLINE)), {"channel": HEADLINE}, "channel")
    return xr.Dataset({**fields, "analysis_floor": floor}, attrs={"forecast_n": 30, "analysis_n": 40})


def fig3_cycling():
    daily = np.sqrt(squared_errors(HEADLINE).isel(time=slice(None, None, 4)))
    floor = xr.DataArray(0.2 * np.sqrt(size(HEADLINE)), {"channel": HEADLINE}, "channel")
    attributes = {"evaluation_begin": "2001-01-05T00:00", "n": 36}
    return xr.Dataset({"truth": daily, "withheld": 1.2 * daily, "floor": floor}, attrs=attributes)


def by_source(**fields):
    """Fields (source, …) of dimensions named with each."""
    return xr.Dataset(
        {name: (("source", *dims), values) for name, (dims, values) in fields.items()}, {"source": SOURCES}
    )


def spectra():
    fall = np.exp(-np.arange(16) / np.array([np.inf, 20.0, 15.0, 10.0])[:, None])[:, None] * np.ones((4, 3, 16))
    fields = by_source(ratio=(("channel", "wavenumber"), fall), coherence=(("channel", "wavenumber"), fall**0.5))
    return fields.assign_coords(channel=HEADLINE, wavenumber=np.arange(16)).assign_attrs(n=120)


def extremes():
    error = 0.1 * np.arange(4)[:, None, None] * np.linspace(-1, 1, 5) * np.ones((4, 3, 5))
    edi = np.clip(1 - 0.2 * np.arange(4)[:, None, None] * np.ones((4, 3, 2)), 0, 1)
    fields = by_source(quantile_error=(("channel", "quantile"), error), edi=(("channel", "side"), edi))
    coordinates = {"channel": HEADLINE, "quantile": [0.001, 0.1, 0.5, 0.9, 0.999], "side": ["above", "below"]}
    return fields.assign_coords(coordinates).assign_attrs(n=120)


def balance():
    level, layer = [250, 500, 850], [375, 675]
    growth = 1 + 0.3 * np.arange(4)[:, None]
    energy = np.exp(-np.arange(16) / 5) * growth[:, :, None] * np.array([1.0, 0.1])[:, None]
    fields = by_source(
        geostrophic=(("level",), 0.2 * growth * np.ones(3)),
        hydrostatic=(("layer",), 0.1 * growth * np.ones(2)),
        kinetic_energy=(("part", "wavenumber"), energy),
        tendency=(("step",), 80.0 * growth * np.ones(4)),
    )
    coordinates = {"part": ["rotational", "divergent"], "wavenumber": np.arange(16), "step": np.arange(1, 5)}
    return fields.assign_coords(level=level, layer=layer, **coordinates).assign_attrs(n=120)


def budgets():
    quantity = ["mass", "moisture", "energy"]
    scale = np.array([10.0, 0.1, 1e6])
    walk = np.cumsum(rng().standard_normal((4, 3, len(TIMES))), axis=2) / 10 * scale[:, None]
    walk[0] = 0.0
    drift = walk[..., -1] / 40
    fields = by_source(
        error=(("quantity", "time"), walk),
        drift=(("quantity",), drift),
        spread=(("quantity",), np.abs(drift) / 2),
        jump=(("quantity",), np.full((4, 3), 0.5)),
    )
    return fields.assign_coords(quantity=quantity, time=TIMES).assign_attrs(n=len(TIMES))


def forecast_rmse():
    sources = ["l4dvar", "free", "persistence", "climatology"]
    lead = np.arange(0, 121, 12) * np.timedelta64(1, "h").astype("timedelta64[ns]")
    rise, start = np.array([0.3, 0.9, 1.5, 0.0])[:, None], np.array([0.3, 0.8, 0.1, 1.2])[:, None]
    growth = rise * np.minimum(np.arange(11) / 10, 0.8) + start
    values = (700 * growth[:, None, :, None] * np.exp(0.1 * rng().standard_normal((4, 20, 11, 3)))) ** 2
    coords = {"source": sources, "lead_time": lead, "channel": HEADLINE}
    squared = xr.DataArray(values, coords, ("source", "init_time", "lead_time", "channel"))
    return significance.rmse_interval(squared, 2, rng())


def innovations():
    rows = []
    for withheld in (False, True):
        for name in CHANNELS:
            found = style.channel(name)
            scale = {"z": 300.0, "q": 1e-3, "msl": 200.0}.get(found.variable, 2.0)
            row = {"variable": found.variable, "level": np.nan if found.level is None else found.level}
            row |= {"withheld": withheld, "n": 800 if withheld else 8000, "ombg_mean": 0.1 * scale, "oman_mean": 0.0}
            rows.append(row | {"ombg_rms": scale, "oman_rms": (0.8 if withheld else 0.5) * scale})
    return pd.DataFrame(rows)


def learning_curves():
    step = np.arange(2000)
    loss = 1 / (1 + step / 100) * np.exp(0.2 * rng().standard_normal(2000)) + 0.02
    rate = 1e-3 * np.cos(step / 2000 * np.pi / 2)
    training = pd.DataFrame({"step": step, "loss": loss, "learning_rate": rate, "curve": "training"})
    held_out = {"step": step[99::100], "loss": 1.1 / (1 + step[99::100] / 100) + 0.02, "curve": "validation"}
    one = pd.concat([training, pd.DataFrame(held_out)], ignore_index=True)
    return pd.concat([one.assign(network=name) for name in ("autoencoder", "forecaster")], ignore_index=True)


def autoencoder_error():
    errors = {"autoencoder": ("channel", np.full(44, 0.12)), "pca": ("channel", np.full(44, 0.2))}
    fields = xr.Dataset(errors, {"channel": CHANNELS}, {"n": 120, "compression": 6.0})
    fields["autoencoder"][:4] = 0.9  # surface channels do not count
    return fields


def forecaster_skill():
    lead = np.array([6, 24, 48]) * np.timedelta64(1, "h").astype("timedelta64[ns]")
    values = np.array([0.45, 0.5, 0.7])[:, None] * (1 + 0.1 * rng().standard_normal((3, 44)))
    fields = {"ratio": (("lead_time", "channel"), values)}
    return xr.Dataset(fields, {"lead_time": lead, "channel": CHANNELS}, {"n": 40})


def fig5a_latent_influence():
    influence = rng().uniform(0, 1, (12, len(CHANNELS)))
    fields = {"mean": (("latent", "channel"), influence), "variance": (("latent", "channel"), influence**2)}
    return xr.Dataset(fields, {"channel": CHANNELS}, {"n": 20})


def fig5b_imbalanced_input():
    kinds, names = ["truth", "input", "output"], ["z500", "q500"]
    scale = np.array([500.0, 1e-3])[:, None, None]
    values = np.stack([share * scale * waves(3) for share in (1.0, 0.0, 0.7)])
    dims = ("kind", "channel", "latitude", "longitude")
    coordinates = {"kind": kinds, "channel": names, "latitude": GRID.latitude, "longitude": GRID.longitude}
    fields = {"fields": (dims, values), "restored": ("channel", [0.7, 0.7])}
    return xr.Dataset(fields, coordinates, {"time": "2001-01-05 00:00"})


def fig6a_affine():
    parts = ["first", "second", "sum", "response to the sum"]
    first, second = waves(3, 300.0), waves(2, 200.0)
    values = np.stack([first, second, first + second, 0.95 * (first + second)])
    coordinates = {"part": parts, "latitude": GRID.latitude, "longitude": GRID.longitude}
    times = ["2001-01-05 00:00", "2001-01-04 00:00", "2001-01-06 00:00"]
    attributes = {"channel": "z500", "times": times, "correlation": 0.998, "error": 0.05}
    return xr.Dataset({"response": (("part", "latitude", "longitude"), values)}, coordinates, attributes)


def fig6b_linear_range():
    factor = 2.0 ** np.arange(-6, 6)
    falling = 1 - 0.01 * factor[:, None] / (1 + rng().uniform(size=(20, 2, 1, 3)))
    dims = ("pair", "sign", "factor", "channel")
    fields = {"correlation": (dims, falling), "ratio": (dims, falling**2)}
    fields |= {"low": ("sign", [factor[0]] * 2), "high": ("sign", [factor[-3]] * 2)}
    return xr.Dataset(fields, {"sign": [1, -1], "factor": factor, "channel": HEADLINE}, {"n": 20})


def fig7_latent_size():
    rows = []
    for kind, worse in (("transformer", 1.0), ("pca", 1.3)):
        for compression in (4.0, 8.0, 16.0):
            error = 0.05 * worse * compression**0.5
            row = {"autoencoder": f"{kind}-{compression:g}", "kind": kind, "compression": compression, "error": error}
            row |= {"off_diagonal": 0.2 / compression, "neighbour": 0.4 / compression, "channel": "z500"}
            rows.append(row | interval(500 * error) | {"n": 80})
    return pd.DataFrame(rows)


def exp4_forecast_autoencoder():
    names, leads = ["known", "bred"], [0.0, 1.0, 3.0]
    rmse = np.sqrt(size(HEADLINE))[:, None] * (1 + np.arange(3)) * np.array([0.3, 0.33])[:, None, None]
    difference = rmse - rmse[:1]
    shaped = {key: (("experiment", "channel", "lead_days"), value) for key, value in interval(rmse).items()}
    ends = {"difference": 1.0, "difference_low": 0.5, "difference_high": 1.5}
    shaped |= {key: (("experiment", "channel", "lead_days"), end * difference) for key, end in ends.items()}
    shaped["n"] = (("experiment", "channel", "lead_days"), np.full(rmse.shape, [40.0, 30.0, 30.0]))
    shaped["reconstruction"] = (("experiment", "held_out"), np.full((2, 44), 0.1) * [[1.0], [1.1]])
    coordinates = {"experiment": names, "channel": HEADLINE, "lead_days": leads, "held_out": CHANNELS}
    words = {"reference": "known", "samples": 64, "trained_on": ["states", "forecasts of 1 to 3 days"]}
    return xr.Dataset(shaped, coordinates, words)


def convergence():
    count, generator = 60, rng()
    cycles = pd.DataFrame({"time": TIMES[: 2 * count : 2].astype(str), "jb_start": 0.0})
    cycles = cycles.assign(jo_start=2e4 * generator.uniform(0.8, 1.2, count), jb_end=2e3, jo_end=7e3)
    return cycles.assign(evaluations=generator.integers(20, 30, count), two_j_over_p=1.0)


def minimisers():
    """J falls by a rate of its method; 12 windows, of which Adam gets near J* in few."""
    parts, generator = [], rng()
    rates = {"L-BFGS": 0.3, "L-BFGS, carried curvature": 0.4, "Gauss-Newton": 0.5, "Adam": 0.06}
    for method, rate in rates.items():
        for window in range(12):
            count = np.arange(1, 61)
            goal, start = 4000 * generator.uniform(0.9, 1.1), 9000 * generator.uniform(0.9, 1.1)
            best = goal + (start - goal) * np.exp(-rate * generator.uniform(0.7, 1.3) * (count - 1))
            rows = {"evaluation": count, "value": best, "best": best, "converged": goal, "seconds": 0.2 * count}
            parts.append(pd.DataFrame({"method": method, "window": window, **rows}))
    return pd.concat(parts, ignore_index=True)


def batching():
    seconds = {batch: 10 * 16 / batch**0.6 for batch in (1, 2, 4, 8, 16)}
    rows = [
        {"batch": batch, "seconds": s * (1 + 0.05 * r), "windows": 16, "evaluations": 480, "repeat": r}
        for batch, s in seconds.items()
        for r in range(3)
    ]
    return pd.DataFrame(rows)


def costs():
    jobs = {"train-forecaster": 120.0, "cycle-experiment-l4dvar": 90.0, "summarise": 4.0}
    rows = [{"job": job, "wall_s": s, "processor_s": 1.1 * s, "peak_mib": 900.0} for job, s in jobs.items()]
    return pd.DataFrame(rows)


def tuning():
    parts = []
    for name, best, lengths in (("3dvar", 0.5, [0.7, 1.0, 1.4]), ("l4dvar", 2.0, [np.nan])):
        tried = [(s, x, o) for s in (0.25, 0.5, 1, 2, 4) for x in lengths for o in (0.8, 1.0, 1.25)]
        value = [
            -1.2 - 0.05 * np.log(s / best) ** 2 - 0.2 * np.log(o) ** 2 - 0.1 * np.nan_to_num(np.log(x)) ** 2
            for s, x, o in tried
        ]
        one = pd.DataFrame(tried, columns=["scale", "length", "observation"])
        one = one.assign(experiment=name, stage="grid", log_likelihood=value, rms_normalised_innovation=1.02, n=12000)
        parts.append(one.assign(chosen=np.arange(len(tried)) == np.argmax(value)))
    return pd.concat(parts, ignore_index=True)


def linear_gaussian():
    ways = [("lara", "L-BFGS, dense"), ("lara", "Gauss-Newton, dense"), ("adao", "3DVAR")]
    rows = [
        {"problem": problem, "n": n, "observations": n // 4, "package": package, "method": method}
        | {"error": 1e-7 * (i + 1), "seconds": 1e-3 * n * (i + 1), "goal": 1e-6}
        for problem in ("3D-Var", "4D-Var")
        for n in (64, 256)
        for i, (package, method) in enumerate(ways)
    ]
    return pd.DataFrame(rows)


def lorenz96():
    ours = {"package": "lara", "method": "4D-Var, 4 steps", "filter_rmse": 0.2, "smoother_rmse": 0.15}
    theirs = {"package": "dapper", "method": "EnKF", "filter_rmse": 0.25, "smoother_rmse": np.nan}
    rows = [ours | {"stated_rmse": np.nan}, theirs | {"stated_rmse": 0.22}]
    return pd.DataFrame([row | {"processor_seconds": 3.0, "times": 100} for row in rows])


def fig1_framework():
    background, increment = 5.2e4 + waves(5, 800.0), waves(3, 300.0)
    analysis = background + increment
    fields = on_map(background=background, analysis=analysis, forecast=analysis, increment=increment)
    latent = rng().standard_normal((8, 16))
    latents = {"latent_background": latent, "latent_analysis": 0.9 * latent, "latent_std": 0.1 + 0 * latent}
    fields = fields.assign({name: (("row", "column"), values) for name, values in latents.items()})
    sites = draw_network(GRID, 30, 0, 0.0, rng())
    data = {"innovation": 100 * rng().standard_normal(len(sites))}
    data |= {f"site_{name}": sites[name].to_numpy() for name in ("latitude", "longitude")}
    fields = fields.assign({name: ("site", values) for name, values in data.items()})
    return fields.assign_attrs(channel="z500", time="2001-01-05T00:00", component=1, observations=512)


def table_cost():
    one = {"experiment": "l4dvar", "method": "l4dvar", "slots": 4, "windows": 20, "evaluations": 22.0}
    one |= {"seconds": 3.2, "seconds_per_slot": 0.8, "peak_memory_mb": 900.0}
    return pd.DataFrame([one, one | {"experiment": "3dvar", "method": "3dvar", "slots": 1, "seconds_per_slot": 3.2}])


def fig2_background_error():
    count, distance = len(CHANNELS), np.arange(0, 6000, 500.0)
    near = np.exp(-np.abs(np.subtract.outer(np.arange(count), np.arange(count))) / 3)
    fall = np.exp(-distance / 1500)
    fields = {
        "model_channels": (("channel", "other"), near),
        "main_channels": (("latent", "other_latent"), np.eye(12)),
        "model_distance": (("channel", "distance"), np.tile(fall, (count, 1))),
        "main_distance": (("latent", "distance"), np.tile(fall**2, (12, 1))),
        "diagonality": ("space", [0.1, 0.5]),
        "shared": ("space", [10.0, 2.0]),
        "off_diagonal": ("space", [0.3, 0.05]),
        "elements": ("space", [768, 96]),
    }
    coordinates = {"channel": CHANNELS, "distance": distance, "space": ["model", "main"]}
    return xr.Dataset(fields, coordinates, {"n": 40, "latent": "main", "detail": ["z500", "t850"]})


def single_observation():
    """A warm-core high around a site by the date line, tilted westward aloft in one space; wind turns about it."""
    levels = [200, 300, 500, 700, 850, 925]
    names = [f"{variable}{level}" for variable in "zuvt" for level in levels]
    latitude, longitude = np.meshgrid(GRID.latitude, GRID.longitude, indexing="ij")
    fields = np.zeros((2, len(names), *GRID.shape))
    for i, name in enumerate(names):
        level = style.channel(name).level
        for space, tilt in enumerate((0.0, 12.0)):
            east = (longitude - 178.0 + tilt * np.log(level / 500) + 180) % 360 - 180
            north = latitude - 35.0
            high = np.exp(-((east / 18) ** 2) - (north / 12) ** 2) * np.exp(-(np.log(level / 500) ** 2))
            shape = {"z": 120, "t": 0.5 * np.log(level / 400), "u": -0.4 * north, "v": 0.4 * east}[name[0]]
            fields[space, i] = shape * high
    background = np.zeros((len(names), *GRID.shape))
    background[[names.index(f"u{level}") for level in levels]] = 20 * np.cos(np.deg2rad(latitude)) ** 2
    dims = ("channel", "latitude", "longitude")
    coordinates = {"channel": names, "latitude": GRID.latitude, "longitude": GRID.longitude}
    attributes = {"site": "North Pacific", "site_latitude": 34.9, "site_longitude": 177.2, "channel": "z500"}
    return xr.Dataset(
        {"increment": (("space", *dims), fields), "background": (dims, background)},
        {"space": ["model space", "latent space"], **coordinates},
        {**attributes, "departure": 200.0, "time": "2001-02-03 00:00"},
    )


def fig4_single_observation():
    one = single_observation()
    both = xr.concat([one, 0.5 * one], pd.Index(["east", "west"], name="case"), combine_attrs="drop")
    return both.assign({f"case_{key}": ("case", [value] * 2) for key, value in one.attrs.items()})


def production_rmse():
    daily = np.sqrt(squared_errors(HEADLINE).isel(time=slice(None, None, 4)))
    return daily.to_dataset(name="rmse").assign_attrs(evaluation_begin="2001-01-05T00:00", joined="2001-01-20T00:00")


def production_drift():
    quantity, of = ["z500", "t"], ["analysis", "analysis less truth", "truth"]
    truth = np.array([5.5e4, 250.0]) + np.sin(np.arange(40) / 10)[:, None]
    dims, along = ("experiment", "time", "quantity"), ("experiment", "quantity", "of")
    fields = {"mean": (dims, np.stack([truth + 0.1, truth + 0.5])), "truth": (dims, np.stack([truth, truth]))}
    fields |= {key: (along, np.full((2, 2, 3), end)) for key, end in interval(2.0).items()}
    coordinates = {"experiment": ["l4dvar", "free"], "time": DAYS, "quantity": quantity, "of": of}
    attributes = {"n": 36, "joined": "2001-01-20T00:00"}
    return xr.Dataset(fields, coordinates, attributes).rename(rmse="trend_per_year")


def production_seams():
    elapsed, offset = np.arange(0, 20) * DAY / 2, np.arange(-10, 11) * DAY
    falling = 2 * np.exp(-np.arange(20) / 5)[:, None] * np.ones(3)
    change = 1 + 0.1 * rng().standard_normal((21, 3))
    fields = {"difference": (("join", "elapsed", "channel"), falling[None])}
    fields |= {"error_change": (("join", "offset", "channel"), change[None])}
    coordinates = {"join": ["l4dvar 2001-01-20"], "elapsed": elapsed, "offset": offset, "channel": HEADLINE}
    return xr.Dataset(fields, coordinates, {"of": "error of the analyses"})
