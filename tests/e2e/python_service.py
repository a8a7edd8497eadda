"""Serves the Python freezer-api on a port of the loopback: `python_service.py CONFIG PORT`."""

import socketserver
import sys
from wsgiref import simple_server

config, port = sys.argv[1:3]
sys.argv = ['freezer-api', '--config-file', config]
from freezer_api import service  # noqa: E402


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """One thread for each connection."""

    daemon_threads = True
    request_queue_size = 100


simple_server.make_server('127.0.0.1', int(port), service.initialize_app(), server_class=Server).serve_forever()
