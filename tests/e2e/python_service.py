"""Serves the Python freezer-api on a port of the loopback: `python_service.py CONFIG PORT`."""

import io
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


application = service.initialize_app()


def bounded(environ, start_response):
    """The service reads a body to its end, which the server of the standard library leaves open."""
    length = int(environ.get('CONTENT_LENGTH') or 0)
    environ['wsgi.input'] = io.BytesIO(environ['wsgi.input'].read(length))
    return application(environ, start_response)


simple_server.make_server('127.0.0.1', int(port), bounded, server_class=Server).serve_forever()
