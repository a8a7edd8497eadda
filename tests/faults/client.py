"""Requests as a scheduler sends them: each is sent once, to one process, and never repeated.

If a process does not accept the connection, the next one is asked, as a balancer would do it: nothing was sent yet.
"""

import http.client
import json
import select
import socket
from dataclasses import dataclass
from typing import Any

# longer than the service may take for any request
PATIENCE = 120


@dataclass
class Answer:
    """An answer. The status is 0 if none came; `sent` tells whether the request went out."""

    status: int
    body: Any = None
    error: str = ''
    sent: bool = True
    process: str = ''
    retry_after: str | None = None


class Client:
    """One worker's connections, one to each process of the service, kept open between requests."""

    def __init__(self, processes: list[Any], project: str, first: int, keep: bool = True) -> None:
        # each has a name and a port
        self.processes, self.project, self.first, self.keep = processes, project, first, keep
        self.connections: dict[str, http.client.HTTPConnection] = {}

    def call(self, method: str, path: str, body: Any = None, process: int | None = None) -> Answer:
        """One request to one process, by default to the worker's own."""
        start = self.first if process is None else process
        answer = Answer(0, error='no process')
        for number in range(len(self.processes)):
            chosen = self.processes[(start + number) % len(self.processes)]
            answer = self._ask(chosen, method, '/v2/%s/%s' % (self.project, path), body)
            answer.process = chosen.name
            if answer.sent:
                break
        return answer

    def _ask(self, process: Any, method: str, path: str, body: Any) -> Answer:
        try:
            connection = self._connection(process)
        except OSError as error:
            return Answer(0, error=type(error).__name__, sent=False)
        headers = {'Accept': 'application/json'}
        data = None
        if body is not None:
            data, headers['Content-Type'] = json.dumps(body).encode(), 'application/json'
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self.connections.pop(process.name, None)
            return Answer(0, error=type(error).__name__)
        if answer.will_close or not self.keep:
            connection.close()
            self.connections.pop(process.name, None)
        try:
            document = json.loads(text) if text else None
        except ValueError:
            document = text.decode(errors='replace')
        return Answer(answer.status, document, retry_after=answer.headers.get('Retry-After'))

    def _connection(self, process: Any) -> http.client.HTTPConnection:
        """A connection that the process has not closed."""
        connection = self.connections.get(process.name)
        if connection and connection.sock and connection.port == process.port and not closed(connection.sock):
            return connection
        if connection:
            connection.close()
        connection = http.client.HTTPConnection('127.0.0.1', process.port, timeout=5)
        connection.connect()
        connection.sock.settimeout(PATIENCE)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections[process.name] = connection
        return connection

    def close(self) -> None:
        """Closes the connections."""
        for connection in self.connections.values():
            connection.close()
        self.connections.clear()


def closed(connection: socket.socket) -> bool:
    """Whether an idle connection was closed by the other side: only then can it be read."""
    return bool(select.select([connection], [], [], 0)[0])
