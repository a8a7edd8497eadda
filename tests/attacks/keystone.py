"""A Keystone that knows tokens whose names begin with `known`, and takes its time for every validation."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.processes import free_port


class Keystone:
    """Listens until `stop`; counts validations."""

    project = 'c0ffee00c0ffee00c0ffee00c0ffee00'

    def __init__(self, delay: float) -> None:
        self.delay, self.validations = delay, 0
        self.lock = threading.Lock()
        keystone = self

        class Handler(BaseHTTPRequestHandler):
            """Logins of the service and validations of tokens."""

            protocol_version = 'HTTP/1.1'

            def do_GET(self) -> None:
                if not self.path.startswith('/v3/auth/tokens'):
                    self.answer(200, {'version': {'id': 'v3.14', 'status': 'stable', 'links': [
                        {'rel': 'self', 'href': keystone.url + '/v3/'}]}})
                    return
                with keystone.lock:
                    keystone.validations += 1
                time.sleep(keystone.delay)
                token = self.headers.get('X-Subject-Token', '')
                if token.startswith('known'):
                    self.answer(200, {'token': keystone.token()})
                else:
                    self.answer(404, {'error': {'code': 404, 'title': 'Not Found', 'message': 'no such token'}})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get('Content-Length', 0)))
                self.answer(201, {'token': keystone.token()}, {'X-Subject-Token': 'service'})

            def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
                """Sends JSON."""
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(data)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            """With room for all who connect at once."""

            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Says nothing of callers that went away."""

        port = free_port()
        self.url = 'http://127.0.0.1:%d' % port
        self.server = Server(('127.0.0.1', port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self) -> dict[str, Any]:
        """Returns the token that a validation describes."""
        domain = {'id': 'default', 'name': 'Default'}
        return {'methods': ['password'], 'user': {'id': 'u' * 32, 'name': 'demo', 'domain': domain},
                'project': {'id': self.project, 'name': 'demo', 'domain': domain}, 'is_domain': False,
                'roles': [{'id': 'r', 'name': 'member'}, {'id': 's', 'name': 'reader'}], 'audit_ids': ['a'], 'catalog': [],
                'issued_at': '2020-01-01T00:00:00.000000Z', 'expires_at': '2099-01-01T00:00:00.000000Z'}

    def stop(self) -> None:
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()
