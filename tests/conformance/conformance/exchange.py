"""Requests as the comparison writes them, sending them, and answers."""
import dataclasses
import decimal
import http.client
import json
import re
import urllib.parse
from typing import Any

ABSENT = object()
REFERENCE = re.compile(r'\{\{(\d+)\.([\w.]+)\}\}')
#: The replacement of a reference if its answer has no such value, or if the answer was removed to shorten a story.
NOTHING = 'no-such-id'
#: Parts of a path that name the route; everything else is an id.
WORDS = frozenset(('v1', 'v2', 'clients', 'actions', 'jobs', 'sessions', 'backups', 'event', 'action',
                   'healthcheck', 'nothing', 'web-ui'))


@dataclasses.dataclass
class Request:
    """One request. `{{n.key.0.key}}` in path, body or raw stands for a value of the answer to request `n`."""

    number: int
    method: str
    path: str
    body: Any = None          # JSON; None: no body
    raw: str | None = None    # a body that is not JSON, one character a byte
    roles: str = 'member,reader'
    user: str = 'u1'
    project: str | None = None    # None: the project of the path
    headers: dict[str, str | None] = dataclasses.field(default_factory=dict)
    label: str = ''

    def route(self) -> str:
        """The path with `*` for each project and id."""
        parts = self.path.partition('?')[0].rstrip('/').split('/')
        named = [part if part in WORDS and at != 2 else '*' for at, part in enumerate(parts) if part]
        return '/' + '/'.join(part for part in named)

    def view(self) -> dict[str, Any]:
        """The values that conditions of differences.json can test."""
        seen = {'method': self.method, 'route': self.route(), 'path': self.path, 'roles': self.roles,
                'label': self.label, 'query': self.path.partition('?')[2], 'headers': self.headers}
        if self.raw is not None:
            seen['raw'] = self.raw
            try:
                seen['body'] = json.loads(self.raw.encode('latin-1'))
            except ValueError:
                pass
        elif self.body is not None:
            seen['body'] = self.body
        return seen

    def to_json(self) -> dict[str, Any]:
        """Returns the request without the usual values."""
        usual = Request(self.number, self.method, self.path)
        return {key: value for key, value in dataclasses.asdict(self).items()
                if key in ('number', 'method', 'path') or value != getattr(usual, key)}


@dataclasses.dataclass
class Answer:
    """One answer. Status 0: the connection was dropped."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Returns the body: None if there is none, text if it is not JSON."""
        if not self.body:
            return None
        try:
            return json.loads(self.body, parse_float=decimal.Decimal)
        except ValueError:
            return self.body.decode('utf-8', 'replace')


class Caller:
    """Sends requests to one service, and remembers the answers for the references of later ones."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.answers: dict[int, Any] = {}

    def forget(self) -> None:
        """Begins a new story."""
        self.answers = {}

    def send(self, request: Request) -> Answer:
        """Sends one request; a request with a number can be referred to afterwards."""
        body = None
        if request.raw is not None:
            body = self.resolve(request.raw).encode('latin-1')
        elif request.body is not None:
            body = self.resolve(json.dumps(request.body)).encode()
        path = self.resolve(request.path, quoted=True)
        headers = {'Content-Type': 'application/json', 'Accept': 'application/json', 'X-User-Id': request.user,
                   'X-Roles': request.roles, 'X-Project-Id': request.project or project_of(path), **request.headers}
        answer = self.exchange(request.method, path, body, {k: v for k, v in headers.items() if v is not None})
        self.answers[request.number] = answer.json()
        return answer

    def exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """One request on a connection of its own, as the real clients do."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answered = {name.lower(): value for name, value in response.getheaders()}
            content = response.read()
        except (http.client.BadStatusLine, ConnectionError):
            return Answer(0, {}, b'')
        finally:
            connection.close()
        if 'x-conformance-dropped' in answered:
            return Answer(0, {}, b'')
        return Answer(response.status, answered, content)

    def resolve(self, text: str, quoted: bool = False) -> str:
        """Puts in the values of this service's answers."""

        def value(found: re.Match) -> str:
            text = str(self.look_up(int(found[1]), found[2]))
            return urllib.parse.quote(text, safe='') if quoted else json.dumps(text)[1:-1]

        return REFERENCE.sub(value, text)

    def look_up(self, number: int, place: str) -> Any:
        value = self.answers.get(number)
        for key in place.split('.'):
            if isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            elif isinstance(value, dict) and key in value:
                value = value[key]
            else:
                return NOTHING
        return value if isinstance(value, str | int) else NOTHING


def project_of(path: str) -> str:
    """The project that a path names, as a middleware would see it in a token."""
    parts = path.partition('?')[0].split('/')
    return parts[2] if len(parts) > 2 and parts[2] else 'p1'
