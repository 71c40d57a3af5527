"""Stage `reanalysis`: cycled experiments, their archives and what becomes of them."""
