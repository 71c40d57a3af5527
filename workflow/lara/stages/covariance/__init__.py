"""Stage `covariance`: background error of every space, and the factors on it."""
