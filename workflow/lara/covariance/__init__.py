"""Background error covariances: how they are sampled and how they are represented."""
