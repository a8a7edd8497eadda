"""JSON over HTTP, as Keystone and this service speak it: one request, one answer, no retries."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

# never a proxy: everything is on this machine
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
Json = Any


@dataclass
class Answer:
    """Status, headers in lower case, and the body, parsed if it is JSON."""

    status: int
    headers: dict[str, str]
    body: Json


def request(method: str, url: str, token: str | None = None, body: Json = None,
            headers: dict[str, str] | None = None) -> Answer:
    """Sends one request. The status is 0 if there is no answer."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method, headers=dict(headers or {}))
    asked.add_header('Accept', 'application/json')
    if data is not None:
        asked.add_header('Content-Type', 'application/json')
    if token is not None:
        asked.add_header('X-Auth-Token', token)
    try:
        with OPENER.open(asked, timeout=60) as answer:
            return _read(answer.status, answer.headers.items(), answer.read())
    except urllib.error.HTTPError as error:
        return _read(error.code, error.headers.items(), error.read())
    except OSError as error:
        return Answer(0, {}, str(error))


def _read(status: int, headers: Any, text: bytes) -> Answer:
    try:
        body = json.loads(text) if text else None
    except ValueError:
        body = text.decode(errors='replace')
    return Answer(status, {name.lower(): value for name, value in headers}, body)


@dataclass
class User:
    """A user in the domain Default who logs in with a password."""

    name: str
    password: str
    project: str | None
    id: str = ''
    project_id: str = ''


@dataclass
class Keystone:
    """The identity service."""

    url: str
    admin: User
    _admin_token: str = field(default='', repr=False)

    def login(self, auth: Json) -> tuple[str, Json]:
        """Returns a token and its description. Fails if Keystone issues none."""
        answer = request('POST', self.url + '/v3/auth/tokens', body={'auth': auth})
        if answer.status != 201:
            raise RuntimeError('no token: %s %s' % (answer.status, answer.body))
        return answer.headers['x-subject-token'], answer.body['token']

    def token(self, user: User, scope: Json = None) -> str:
        """A token of the user, for their project unless told otherwise."""
        identity = {'methods': ['password'], 'password': {'user': {
            'name': user.name, 'domain': {'name': 'Default'}, 'password': user.password}}}
        if scope is None:
            scope = {'project': {'name': user.project, 'domain': {'name': 'Default'}}}
        return self.login({'identity': identity, 'scope': scope})[0]

    def call(self, method: str, path: str, body: Json = None, token: str | None = None) -> Answer:
        """One call below /v3, as the administrator unless told otherwise."""
        if token is None:
            self._admin_token = self._admin_token or self.token(self.admin)
            token = self._admin_token
        return request(method, '%s/v3/%s' % (self.url, path), token, body)

    def make(self, kind: str, body: Json) -> str:
        """Creates one resource and gives its id."""
        answer = self.call('POST', kind + 's', {kind: body})
        if answer.status != 201:
            raise RuntimeError('%s: %s %s' % (kind, answer.status, answer.body))
        return answer.body[kind]['id']

    def find(self, kind: str, name: str) -> str | None:
        """Id of the resource with this name."""
        found = self.call('GET', '%ss?name=%s' % (kind, name)).body[kind + 's']
        return found[0]['id'] if found else None


@dataclass
class Api:
    """This service, as one user sees it."""

    url: str
    keystone: Keystone
    user: User
    token: str = field(default='', repr=False)

    def call(self, method: str, path: str, body: Json = None) -> Answer:
        """One call in the user's own project."""
        self.token = self.token or self.keystone.token(self.user)
        return request(method, '%s/v2/%s/%s' % (self.url, self.user.project_id, path), self.token, body)

    def get(self, path: str, body: Json = None) -> Json:
        """Returns a document or a list, or None if the status is not 200."""
        answer = self.call('GET', path, body)
        return answer.body if answer.status == 200 else None

    def create(self, path: str, body: Json) -> str:
        """Creates a document and gives its id."""
        answer = self.call('POST', path, body)
        if answer.status != 201:
            raise RuntimeError('POST %s: %s %s' % (path, answer.status, answer.body))
        return next(iter(answer.body.values()))
