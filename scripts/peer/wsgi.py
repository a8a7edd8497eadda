"""The Python freezer-api behind uwsgi, without Keystone, for the benchmark.

PEER_CONF names its configuration. The identity comes from the request's headers (X-User-Id, X-Project-Id, X-Roles), as
behind an authentication that somebody else does; who it is has been "Confirmed".
"""
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

sys.argv = ["freezer-api", "--config-file", os.environ["PEER_CONF"]]

from freezer_api import service  # noqa: E402

_service = service.initialize_app()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """One request."""
    environ.setdefault("HTTP_X_IDENTITY_STATUS", "Confirmed")
    return _service(environ, start_response)
