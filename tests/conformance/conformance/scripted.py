"""The written cases: their preconditions, and the requests that are sent then."""
import itertools
from collections.abc import Iterator
from typing import Any

from . import golden
from .documents import FULL, ODD, SHAPES, SMALL, places, replaced, spelled, without
from .exchange import Request

Case = tuple[list[Request], list[Request]]
P, OTHER = '/v2/p1', '/v2/p2'
COLLECTIONS = ('clients', 'actions', 'jobs', 'sessions', 'backups')
#: Who asks, for the fixture's project p1: the caller's roles and project.
CALLERS = (('admin', 'p1'), ('member', 'p1'), ('reader', 'p1'), ('service', 'p1'), ('', 'p1'), ('admin', 'p2'),
           ('member,reader', 'p2'))
METHODS = ('GET', 'HEAD', 'OPTIONS', 'POST', 'PATCH', 'PUT', 'DELETE')

#: The documents that most cases need. Their numbers start at 900,000, so that cases can count from 1.
FIXTURE = [
    Request(900001, 'POST', P + '/clients', {'client_id': 'node-1', 'hostname': 'node-1'}),
    Request(900002, 'POST', P + '/actions', {'freezer_action': FULL['actions']['freezer_action']}),
    Request(900003, 'POST', P + '/jobs', {
        'client_id': 'node-1', 'description': 'nightly', 'job_schedule': {'schedule_interval': '2 days', 'event': ''},
        'job_actions': [{'freezer_action': {'action': 'backup', 'mode': 'fs', 'backup_name': 'b'}}]}),
    Request(900004, 'GET', P + '/jobs/{{900003.job_id}}'),
    Request(900005, 'POST', P + '/sessions', {
        'description': 'all', 'hold_off': 3600, 'schedule': {'schedule_interval': '1 days', 'event': ''}}),
    Request(900007, 'POST', P + '/backups', SMALL['backups']),
]
ID = {
    'clients': 'node-1', 'actions': '{{900002.action_id}}', 'jobs': '{{900003.job_id}}',
    'sessions': '{{900005.session_id}}', 'backups': '{{900007.backup_id}}',
}
JOB_OF_SESSION = '/sessions/%s/jobs/%s' % (ID['sessions'], ID['jobs'])


def numbered(requests: list[Request]) -> list[Request]:
    for number, request in enumerate(requests, 1):
        request.number = number
    return requests


def request(label: str, method: str, path: str, body: Any = None, **more: Any) -> Request:
    return Request(0, method, path, body, label=label, **more)


def routes(base: str) -> list[str]:
    """Every path of the API, of documents that are there."""
    found = ['/', '/v2', '/v1', '/healthcheck', base + '/nothing', base]
    for name in COLLECTIONS:
        found += ['%s/%s' % (base, name), '%s/%s/%s' % (base, name, ID[name])]
    return found + [base + '/jobs/%s/event' % ID['jobs'], base + '/sessions/%s/action' % ID['sessions'],
                    base + JOB_OF_SESSION]


def body_for(path: str) -> Any:
    """A right body for a write to a path."""
    if path.endswith('/event'):
        return {'stop': None}
    if path.endswith('/action'):
        return {'start': {'job_id': ID['jobs'], 'current_tag': 0}}
    name = next((part for part in reversed(path.split('/')) if part in COLLECTIONS), None)
    return SMALL.get(name, {})


def authorization(short: bool = False) -> Iterator[Case]:
    """Every route, method and role, in the caller's own project and in another one; short: rare methods by some roles."""
    for number, (roles, project) in enumerate(CALLERS):
        requests = []
        for path in routes(P):
            for method in METHODS:
                if short and method in ('HEAD', 'OPTIONS', 'PUT') and number % 3:
                    continue
                body = body_for(path) if method in ('POST', 'PATCH', 'PUT') else None
                requests.append(request('roles "%s" of %s' % (roles, project), method, path, body,
                                        roles=roles, project=project))
        requests.sort(key=lambda one: (one.method == 'DELETE', -one.path.count('/') * (one.method == 'DELETE')))
        yield FIXTURE, numbered(requests)


def shapes(every: int = 1) -> Iterator[Case]:
    """Bodies that are no document, on every write and every list: one of `every`, others on each path."""
    counter = itertools.count()
    for path in routes(P)[6:]:
        methods = [m for m in ('POST', 'PATCH', 'PUT') if not (m == 'PUT' and path.count('/') < 6)]
        if path.rsplit('/', 1)[1] in COLLECTIONS:
            methods.append('GET')
        yield FIXTURE, numbered([request('body: ' + label, method, path, raw=raw)
                                 for method in methods for label, raw in SHAPES.items()
                                 if next(counter) % every == 0])


def fields(every: int, first: int = 0) -> Iterator[Case]:
    """Whole documents with one value replaced or taken away; of those with an odd value, one of `every`."""
    counter = itertools.count(first)
    for name in COLLECTIONS:
        targets = [('POST', '%s/%s' % (P, name))]
        if name != 'clients':
            targets.append(('PATCH', '%s/%s/%s' % (P, name, ID[name])))
        if name not in ('clients', 'backups'):
            targets.append(('POST', '%s/%s/%s' % (P, name, ID[name])))
        for method, path in targets:
            whole = FULL[name]
            requests = [request('whole', method, path, whole), request('small', method, path, SMALL[name]),
                        request('unknown key', method, path, dict(whole, colour='red'))]
            for place in places(whole):
                requests.append(request('without ' + spelled(place), method, path, without(whole, place)))
                for label, value in ODD.items():
                    if next(counter) % every == 0:
                        requests.append(request('%s: %s' % (spelled(place), label), method, path,
                                                replaced(whole, place, value)))
            yield FIXTURE, numbered(requests)


def all_cases(every: int) -> Iterator[Case]:
    """Every case; `every` thins out the odd values of single fields, and above 1 the bodies and methods, too."""
    yield from golden.cases()
    yield from authorization(every > 1)
    yield from shapes(3 if every > 1 else 1)
    yield from fields(every)
