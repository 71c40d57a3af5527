"""Zarr stores behind an address: which package reads it, without an account, and patience with its server."""

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

_ACCESS: dict[str, tuple[str, dict[str, Any]]] = {  # what fsspec needs, and how it is told to ask without an account
    "gs": ("gcsfs", {"token": "anon"}),
    "gcs": ("gcsfs", {"token": "anon"}),
    "s3": ("s3fs", {"anon": True}),
    "http": ("aiohttp", {}),
    "https": ("aiohttp", {}),
}
_PAUSES = (1.0, 4.0, 16.0)  # seconds between tries of a remote store


def access(url: str) -> dict[str, Any] | None:
    """Storage options that read `url` without an account. RuntimeError naming what is not installed."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _ACCESS:
        return None
    package, options = _ACCESS[scheme]
    absent = [name for name in ("fsspec", package) if find_spec(name) is None]
    if absent:
        google = f"-r envs/cloud.txt, or read https://storage.googleapis.com/{rest}"
        remedy = google if package == "gcsfs" else " ".join(absent)
        raise RuntimeError(f"{url} needs {' and '.join(absent)}: uv pip install {remedy}")
    return options


def patiently(action: Callable[[], Any], url: str, what: str) -> Any:
    """The result of `action`, tried again after each pause where the store is remote. OSError naming `url`."""
    for pause in (*(_PAUSES if "://" in url else ()), None):
        try:
            return action()
        except FileNotFoundError as fault:
            raise OSError(f"{url}: {what} failed: there is no Zarr store") from fault
        except Exception as fault:  # the clients of remote stores have no common error
            if pause is None:
                raise OSError(f"{url}: {what} failed: {fault!r}") from fault
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")
