"""Serves the Python service's v2 API over standard input and output, for a test that asks both services in turns.

usage: serve_requests.py CONFIG_FILE

One request a line, as JSON: {"method": ..., "path": ..., "user": ..., "project": ..., "body": ... or null}. One answer a
line: {"status": ..., "body": ... or null}. Ends with its input. There is no Keystone, and every caller is trusted.
"""
from __future__ import annotations

import io
import json
import sys
from typing import Any, Callable

from falcon import testing


def application(config_file: str) -> Callable[..., Any]:
    """Returns the service as a WSGI application."""
    from freezer_api.common import config
    config.parse_args(args=['--config-file', config_file])
    from freezer_api.api.common import middleware
    from freezer_api.cmd import api
    return middleware.ContextMiddleware.factory({})(api.build_app_v2())


def answer(service: Callable[..., Any], request: dict[str, Any]) -> dict[str, Any]:
    """Asks the application."""
    headers = {
        'X-Identity-Status': 'Confirmed',
        'X-Auth-Token': 'none',
        'X-User-Id': request['user'],
        'X-Project-Id': request['project'],
        'X-Roles': 'member,reader',
        'Content-Type': 'application/json',
        'Accept': 'application/json',
    }
    path, _, query = request['path'].removeprefix('/v2').partition('?')    # which the service's paste.ini takes off
    body = b'' if request['body'] is None else json.dumps(request['body']).encode()
    environ = testing.create_environ(
        path=path, query_string=query, method=request['method'], headers=headers, body=body)
    environ['wsgi.input'] = io.BytesIO(body)                               # falcon's own refuses a plain read()
    status: list[str] = []
    parts = service(environ, lambda line, *_: status.append(line))
    text = b''.join(parts)
    return {'status': int(status[0].split()[0]), 'body': json.loads(text) if text else None}


def main() -> None:
    """Answers until there is nothing more to answer."""
    answers = sys.stdout
    sys.stdout = sys.stderr                            # whatever the service prints is not an answer
    service = application(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(answer(service, json.loads(line))), file=answers, flush=True)


if __name__ == '__main__':
    main()
