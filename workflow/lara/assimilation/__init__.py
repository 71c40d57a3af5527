"""Variational assimilation in latent or model space: J(χ) minimised over a window, windows cycled.

This package knows no network, no file and no configuration. It receives callables (encode, decode, step), a
control transform and observations, so toys and trained networks, latent and model space run the same code.
"""


class AssimilationError(RuntimeError):
    """An assimilation that must stop: a non-finite state, cost, gradient or datum, named with its window."""


FAILED = "failed, background published"  # reason, in a ledger, of a window whose analysis failed
