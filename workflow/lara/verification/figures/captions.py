"""What every figure is to be read for: report category and caption, by the figure's name or that of its family."""

CAPTIONS: dict[str, tuple[str, str]] = {
    "learning_curves": ("networks", "Loss of every network: training and validation should fall together."),
    "autoencoder_error": (
        "networks",
        "Error of a pass through the autoencoder over the rms 24 h change, beside the PCA of the same size. An "
        "analysis in its latent space can hardly be better than this.",
    ),
    "forecaster_skill": ("networks", "Forecast error over that of persistence; below 1 is skill."),
    "analysis_maps": (
        "analyses",
        "One analysis on the map: the increment should sit where the sites are and lead towards the truth.",
    ),
    "rmse_over_time": (
        "analyses",
        "Analysis error of every experiment. It should level off below the free run and below the autoencoder-only "
        "control, whose error is what smoothing alone achieves; dashed: reconstruction.",
    ),
    "rmse_by_level": ("analyses", "Analysis error by variable and level; dashed: reconstruction."),
    "forecast_rmse": (
        "forecasts",
        "Error of forecasts from the analyses, beside the free run, persistence, climatology and a perfect start.",
    ),
    "innovations": (
        "observations",
        "Departures of used and of withheld data, which test independently: O−A below O−B there is a gain.",
    ),
    "convergence": (
        "methods",
        "Cost, consistency 2J_min/p (near 1 where errors are as assumed) and work of each cycle.",
    ),
    "minimisers": ("methods", "Excess of J over its minimum against gradients, minimiser by minimiser."),
    "batching": ("methods", "Windows per second against the number minimised at once."),
    "costs": ("methods", "Wall time, processor time and peak memory of every job."),
    "osse": ("analyses", "Differences to the reference method with paired intervals; filled dots leave out 0."),
    "tuning": ("methods", "Likelihood of innovations against every factor on B and R; the largest is taken."),
    "linear_gaussian": ("methods", "Error against the analytic answer, and time, beside ADAO."),
    "lorenz96": ("methods", "Cycled Lorenz-96 beside the methods of DAPPER."),
    "spread_skill": (
        "analyses",
        "Spread of the ensemble against the error of its mean, and ranks of the truth with the CRPS, by region. A "
        "ratio below 1 and a truth often outside the members say that the ensemble is too sure of itself.",
    ),
    "single_observation": ("background error", "What one observation changes in variables nobody observed."),
    "fig1_framework": (
        "methods",
        "One window with this run's own fields: encode, minimise J in the latent space, decode, forecast.",
    ),
    "fig2_background_error": (
        "background error",
        "Correlations of background errors across variables and levels, latent channels and distance. The index is 1 "
        "for a diagonal B; its inverse counts the elements among which the variance of one is shared.",
    ),
    "fig4_single_observation": (
        "background error",
        "One Z500 datum over China, over Australia and in the tropics: in mid-latitudes wind should circle the height "
        "increment, and the layer below it be warm.",
    ),
    "fig5a_latent_influence": (
        "networks",
        "Which variables each latent component moves; a row that is bright in several variables couples them.",
    ),
    "fig5b_imbalanced_input": (
        "networks",
        "Z500 and Q500 replaced by their global means and passed through the autoencoder: what balance with the other "
        "fields restores.",
    ),
    "fig6a_affine": (
        "networks",
        "Responses of the decoder to two latent differences and to their sum: the lower two agree where it is affine.",
    ),
    "fig6b_linear_range": (
        "networks",
        "Correlation and size of the decoder's response to a latent difference scaled by k, against k times that for "
        "k = 1. Where both are 1, latent assimilation equals that in model space.",
    ),
    "fig3_osse": (
        "analyses",
        "Forecast and analysis error of every method of the OSSE with 95 % intervals, at the same times; dashed: "
        "reconstruction. The autoencoder-only control shows what smoothing alone achieves.",
    ),
    "fig3_cycling": (
        "analyses",
        "Analysis error of every method over the whole period, against the truth and against withheld observations, "
        "whose own errors are in it.",
    ),
    "spectra": (
        "analyses",
        "Power by wavenumber over the truth's, and coherence with the truth. A ratio below the reconstruction's is "
        "smoothing by the assimilation, above 1 noise; where coherence is low, power sits in the wrong place.",
    ),
    "extremes": (
        "analyses",
        "Errors of quantiles of anomalies, and the extremal dependence index of anomalies beyond 2 std: 1 where "
        "extremes are found in their place, 0 for chance.",
    ),
    "balance": (
        "physics",
        "Imbalance of increments beside that of perfect ones (truth), divergent kinetic energy, and pressure changes "
        "in the first forecast steps, which a shock would raise above those from the truth.",
    ),
    "budgets": (
        "physics",
        "Global mass, moisture and energy of analyses less the truth's: drift per day with its standard error, and "
        "increments of the global mean in units of its true 6 h change.",
    ),
    "fig7_latent_size": (
        "networks",
        "Reconstruction error, correlations in B_z and analysis error against compression, the PCA of the same size "
        "beside each, every size with its own tuned factors: what a smaller latent space loses, a B that is diagonal "
        "in fewer elements may give back.",
    ),
    "exp4_forecast_autoencoder": (
        "networks",
        "The OSSE's L4DVar with an autoencoder trained on forecasts in place of states, everything else alike: "
        "reconstruction of held-out truth, RMSE of analyses and forecasts, and its difference with a paired 95 % "
        "interval. Near zero, a system can be begun without a reanalysis to train on.",
    ),
    "production_rmse": (
        "production",
        "Analysis error over the whole period: it should be the same from year to year and on both sides of a join of "
        "streams; the free run beside it has seen no observation.",
    ),
    "production_drift": (
        "production",
        "Global means of analyses and truth, and their difference, each with its trend per year: there is no drift "
        "where the interval of the difference's trend holds zero.",
    ),
    "production_seams": (
        "production",
        "How soon a stream that began elsewhere agrees with the one it follows, in units of the analyses' own error, "
        "and how that error changes in one step at the join and on other days: a visible seam would stand out.",
    ),
    "table_cost": ("methods", "Seconds, gradients of J and memory per analysis, method by method, on this machine."),
}


def of(figure: str) -> tuple[str, str]:
    """Category and caption of a figure. KeyError for one without."""
    found = [name for name in CAPTIONS if figure == name or figure.startswith(f"{name}_")]
    if not found:
        raise KeyError(f"figure '{figure}' has no caption: give it one in verification/figures/captions.py")
    return CAPTIONS[max(found, key=len)]
