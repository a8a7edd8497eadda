"""Runs the Python freezer-api with uwsgi and without Keystone, for the benchmark.

PEER_CONF names the configuration. The identity comes from the headers of the request (X-User-Id, X-Project-Id, X-Roles),
as if an authentication middleware had set them. The identity status is always "Confirmed".
"""
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

sys.argv = ["freezer-api", "--config-file", os.environ["PEER_CONF"]]

from freezer_api import service  # noqa: E402

_service = service.initialize_app()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Handles a request."""
    environ.setdefault("HTTP_X_IDENTITY_STATUS", "Confirmed")
    return _service(environ, start_response)
