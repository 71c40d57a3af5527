"""LARA, Latent Atmospheric ReAnalysis: from states and observations to a reanalysis by latent 4D-Var."""
