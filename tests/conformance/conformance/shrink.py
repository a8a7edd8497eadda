"""Makes a story with a surprise shorter, as long as the surprise stays."""
import time
from collections.abc import Callable

from .exchange import Request


def shrink(requests: list[Request], still: Callable[[list[Request]], bool], seconds: float = 60) -> list[Request]:
    """The requests without those that the surprise does not need; `still` tries a story on fresh databases."""
    end = time.monotonic() + seconds
    size = max(len(requests) // 2, 1)
    while size and time.monotonic() < end:
        at = 0
        while at < len(requests) and time.monotonic() < end:
            fewer = requests[:at] + requests[at + size:]
            if fewer and still(fewer):
                requests = fewer
            else:
                at += size
        size //= 2
    return requests
