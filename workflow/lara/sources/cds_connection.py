"""The Climate Data Store through `cdsapi` 0.7: one call at a time, repeated with growing pauses while that may help.

`cdsapi.Client` with a key of today's kind is `ecmwf.datastores.legacy_client.LegacyClient`. Asked with
`wait_until_complete=False` its `retrieve` returns the job (`request_id`, `json`, `get_results`), and the datastores
client below it, `.client`, finds a job again by its id (`get_remote`), lists jobs and estimates costs. Left alone it
repeats a call 500 times every 120 s, 16 hours on a dead server: it is told to try once, and patience is here.

The key comes from `cdsapi` alone (`CDSAPI_KEY`, or `~/.cdsapirc`) and is struck out of every text that leaves here.
"""

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import cdsapi
import requests
import urllib3
from urllib3.exceptions import NewConnectionError

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_PASSING = (408, 425, 429)  # and every 5xx: the call may succeed later
_QUEUE_FULL = ("queued requests", "temporarily limited")
_HOLD = 1 << 16  # bytes that count as a sign of life: a server that drips is as good as dead
_LINE = 500  # characters of a text of others that a message shows
_REQUEST = re.compile(
    r"""\[[^][{}]*['"…][^][{}]*\]|\{[^][{}]*['"…][^][{}]*\}"""
)  # a list or object without another in it
_STORE = "https://cds.climate.copernicus.eu"
_DATASET = "/datasets/{dataset}?tab=download"
_REMEDIES = (  # status, word of the answer, what it means, where to mend it
    (401, "", "the key is not accepted: put a valid one into ~/.cdsapirc", "/profile"),
    (403, "licen", "accept the licences of the dataset", _DATASET + "#manage-licences"),
    (403, "cost", "the request is over the cost limit: ask for fewer variables or levels", _DATASET),
    (403, "", "access is refused", _DATASET),
    (400, "", "the request is invalid", _DATASET),
    (422, "", "the request is invalid", _DATASET),
)


class CdsError(RuntimeError):
    """Nothing more to try: one line with dataset and month, the reason, and the page to visit."""


class GoneError(Exception):
    """A job or its result is not there any more."""


class LastingError(ValueError):
    """A delivery is not what is wanted, and another would be the same."""


class QueueFullError(Exception):
    """The store takes no more requests of this user for now."""


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds, and how often to try.

    `answer`: for one answer of the server, and for a first connection to it. `silence`: without a good answer or
    64 KiB, before giving up. `first` and `longest`: pauses between calls, doubled from the one to the other. `queue`:
    until a request is done, refusals for too many queued requests included. `jobs`: how many for one request, when
    they fail or results get lost. `deliveries`: how often a damaged file is fetched, from the third by a new job.
    `checksum`: whether one without the checksum that the store gives counts as damaged.
    """

    answer: float = 60
    silence: float = 1800
    first: float = 1
    longest: float = 120
    queue: float = 7 * 86400
    jobs: int = 3
    deliveries: int = 3
    checksum: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.longest or min(self.answer, self.silence, self.queue) <= 0:
            raise ValueError(f"{self}: times must be positive, and first at most longest")
        if min(self.jobs, self.deliveries) < 1:
            raise ValueError(f"{self}: jobs and deliveries must be at least 1")

    def pauses(self) -> Iterator[float]:
        """Seconds to rest after the first, second, … call."""
        pause = self.first
        while True:
            yield pause
            pause = min(2 * pause, self.longest)


@dataclass
class Connection:
    """The store as one request needs it; `dataset` and `title` ("dataset month") begin every message."""

    dataset: str
    title: str
    patience: Patience
    client: Any = field(repr=False)
    _key: str = field(repr=False)
    url: str = f"{_STORE}/api"
    _heard: float = 0.0  # when the present call began, or last received something
    _bytes: int = 0
    _met: bool = False  # whether the store has ever answered

    @classmethod
    def open(cls, dataset: str, title: str, patience: Patience) -> "Connection":
        """Connect with the user's key. Raises CdsError when there is none, or one of the store before 2024."""
        try:
            url, key, verify = cdsapi.api.get_url_key_verify(None, None, None)
        except Exception as error:  # cdsapi raises no other
            raise CdsError(f"{title}: no key for the Climate Data Store: {_STORE}/how-to-api") from error
        if not key.strip():
            raise CdsError(f"{title}: no key for the Climate Data Store, but an empty one: {_STORE}/how-to-api")
        if ":" in key or url.rstrip("/").endswith("/v2"):
            raise CdsError(
                f"{title}: the key is of the old form UID:KEY or the url ends in /v2, which ended in 2024: "
                f"write the two lines of {_STORE}/how-to-api into ~/.cdsapirc"
            )
        connection = cls(dataset, title, patience, None, key, _address(url))
        connection.client = connection._connect(verify)
        return connection

    def _connect(self, verify: bool) -> Any:
        say = {f"{kind}_callback": self._said for kind in ("info", "warning", "error", "debug")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the messages of the day may be out of order, and nothing else
            return cdsapi.Client(
                self.url,
                self._key,
                verify=verify,
                quiet=True,
                progress=False,
                timeout=self.patience.answer,
                retry_max=1,
                sleep_max=self.patience.longest,
                delete=False,
                wait_until_complete=False,
                **say,
            )

    def _said(self, text: object, *_: object, **__: object) -> None:
        _LOG.debug("%s: %s", self.title, self.clean(text))

    def call(self, what: str, action: Callable[[], T]) -> T:
        """What `action` returns, repeated while the fault may pass.

        Raises GoneError (404), QueueFullError, and CdsError when the store refuses or has been silent too long.
        """
        self._heard, self._bytes = time.monotonic(), 0
        for pause in self.patience.pauses():
            try:
                result = action()
            except requests.HTTPError as error:
                self._met = True
                self._judge(error)
                self._rest(what, error, max(pause, _asked_pause(error)))
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                if isinstance(error, ValueError) and not isinstance(error, requests.JSONDecodeError):
                    self.refuse(f"{what}: {error}")  # an address that is none
                self._rest(what, error, pause)
            except LookupError as error:
                self.refuse(f"{what}: an answer that is not understood ({error!r})")
            else:
                self._met = True
                return result
        raise AssertionError("pauses do not end")

    def receive(self, count: int) -> None:
        """Note `count` bytes received. Raises CdsError when too few came for too long."""
        self._bytes += count
        if self._bytes >= _HOLD:
            self._bytes, self._heard = 0, time.monotonic()
        if self._left() <= 0:
            self.refuse(f"less than {_HOLD} bytes in {self.patience.silence:g} s: try again later", "")

    def refuse(self, reason: str, page: str = "/requests?tab=all") -> NoReturn:
        """Raise CdsError in one line that names the page of the store to visit."""
        address = self.url.removesuffix("/api") + page.format(dataset=self.dataset)
        raise CdsError(f"{self.title}: {self.clean(reason)}: {address}") from None  # which might show the key

    def refuse_dataset(self, error: GoneError) -> NoReturn:
        """Raise CdsError for a dataset that is not there, or an address that is none of the store's."""
        hint = "" if self.url.endswith("/api") else f", whose address should be {_STORE}/api,"
        self.refuse(f"the dataset is unknown at {self.url}{hint} ({error})", "/datasets")

    def clean(self, text: object) -> str:
        """`text` in one line of bounded length, without the key; of a long one the beginning and the end."""
        line = " ".join(str(text).replace(self._key, "***").split())
        return line if len(line) <= _LINE else f"{line[: _LINE // 3]} … {line[-2 * _LINE // 3 :]}"

    def _left(self, limit: float | None = None) -> float:
        return self._heard + (limit or self.patience.silence) - time.monotonic()

    def _rest(self, what: str, error: Exception, pause: float) -> None:
        """Pause after a fault that may pass; who was never met is given up sooner than who fell silent."""
        reason, silence, said = self.clean(explanation(error)), self.patience.silence, "no good answer"
        if not self._met and is_unreachable(error):
            silence, said = min(silence, self.patience.answer), f"{self.url} cannot be reached{_proxy(self.url)}"
        if self._left(silence) <= 0:
            line = f"{self.title}: {what}: {said} for {silence:g} s ({reason})"
            raise CdsError(f"{line}: see https://status.ecmwf.int and try again") from None
        _LOG.warning("%s: %s: %s; again in %.0f s", self.title, what, reason, pause)
        time.sleep(min(pause, max(self._left(silence), 0)))

    def _judge(self, error: requests.HTTPError) -> None:
        """Return when the fault may pass, else raise."""
        status, text = status_of(error), explanation(error)
        if is_queue_full(text):
            raise QueueFullError(text) from error
        if status in _PASSING or status >= 500:
            return
        if status in (404, 410):
            raise GoneError(text) from error
        for code, word, meaning, page in _REMEDIES:
            if status == code and word in text.lower():
                self.refuse(f"{meaning} ({status}: {text})", page)
        self.refuse(f"{status}: {text}", _DATASET)


def is_queue_full(text: str) -> bool:
    """Whether a refusal says that too many requests are queued; it will pass."""
    return any(words in text.lower() for words in _QUEUE_FULL)


def is_unreachable(error: Exception) -> bool:
    """Whether no connection came about: no such host, nobody there, a proxy or certificate that does not serve."""
    if isinstance(error, requests.exceptions.ProxyError | requests.exceptions.SSLError | requests.ConnectTimeout):
        return True
    return isinstance(getattr(error.args[0] if error.args else None, "reason", None), NewConnectionError)


def explanation(error: Exception) -> str:
    """What the store says in an answer that reports a problem, without the request, or else the error's text."""
    try:
        content = error.response.json()  # type: ignore[attr-defined]
        text = ". ".join(str(content[name]) for name in ("title", "detail", "traceback") if content.get(name))
    except (AttributeError, ValueError, TypeError):
        return f"{type(error).__name__}: {error}"
    while (shorter := _REQUEST.sub("…", text)) != text:
        text = shorter
    return text


def _address(url: str) -> str:
    """The address of the store as its client needs it: with a scheme, ending in /api where it names but a host."""
    whole = url.strip() if "://" in url else f"https://{url.strip()}"
    parts = urlsplit(whole)
    path = "/".join(["", *(part for part in parts.path.split("/") if part)])
    return f"{parts.scheme}://{parts.netloc}{path or '/api'}"


def _proxy(url: str) -> str:
    """The proxy that an address is asked for through, without a password."""
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    return f" through the proxy {proxy.rpartition('@')[2].rpartition('/')[2]}" if proxy else ""


def status_of(error: requests.HTTPError) -> int:
    """The HTTP status of an answer that reports a problem."""
    return 0 if error.response is None else error.response.status_code


def _asked_pause(error: requests.HTTPError) -> float:
    text = "" if error.response is None else error.response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0
