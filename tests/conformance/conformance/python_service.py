"""Serves freezer-api 19.0.0 without Keystone, as a process of its own.

    python -m conformance.python_service CONFIG_FILE PORT

The identity comes from the headers that Keystone's middleware would set. An exception that leaves the application has
no answer: the servers that upstream names drop the connection then. It is marked as such for the comparison.
"""
import io
import sys
from wsgiref import simple_server

DROPPED = 'X-Conformance-Dropped'


class Quiet(simple_server.WSGIRequestHandler):
    """Requests are not worth a line each."""

    def log_message(self, *arguments: object) -> None:
        pass


def identified(application):
    """Adds the headers of the Keystone middleware, and ends the body after its length."""

    def answer(environ, start_response):
        environ.setdefault('HTTP_X_IDENTITY_STATUS', 'Confirmed')
        environ.setdefault('HTTP_X_AUTH_TOKEN', 'none')
        environ.setdefault('HTTP_X_USER_DOMAIN_ID', 'default')
        environ.setdefault('HTTP_X_PROJECT_DOMAIN_ID', 'default')
        length = int(environ.get('CONTENT_LENGTH') or 0)
        environ['wsgi.input'] = io.BytesIO(environ['wsgi.input'].read(length) if length else b'')
        try:
            return list(application(environ, start_response))
        except Exception:
            start_response('500 Dropped', [(DROPPED, '1'), ('Content-Length', '0')], sys.exc_info())
            return [b'']

    return answer


def main() -> None:
    """Serves until it is ended."""
    config_file, port = sys.argv[1], int(sys.argv[2])
    sys.argv = ['freezer-api', '--config-file', config_file]
    from freezer_api import service
    application = identified(service.initialize_app())
    simple_server.WSGIServer.request_queue_size = 64
    with simple_server.make_server('127.0.0.1', port, application, handler_class=Quiet) as server:
        server.serve_forever()


if __name__ == '__main__':
    main()
