"""Stage `data`: states of every dataset, and the statistics of the training period."""
