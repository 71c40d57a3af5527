"""What the report says of a figure."""

from lara.verification.figures import captions


def category_of(wildcards):
    """Category of a figure in the report."""
    return captions.of(wildcards.figure)[0]


def caption_of(wildcards):
    """What a figure is to be read for, and of which run; n stands in the figure."""
    grid, reference = CONFIG.grid, CONFIG.experiments[REFERENCE]
    run = f"Run `{CONFIG.name}`: {len(CONFIG.state.channels)} channels on {grid.latitudes} x {grid.longitudes} points, "
    scored = f"{reference.days - CONFIG.spin_up_days(REFERENCE)} days scored after {CONFIG.spin_up_days(REFERENCE)}"
    return f"{captions.of(wildcards.figure)[1]} {run}reference {REFERENCE}, {scored} of spin-up."
