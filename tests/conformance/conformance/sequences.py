"""Written stories of several requests: runs of sessions, tenants, names, searches, and the results of changes."""
from collections.abc import Iterator
from typing import Any

from .documents import FREEZER_ACTION, SMALL
from .exchange import Request
from .scripted import FIXTURE, ID, P

Case = tuple[list[Request], list[Request]]
JOB, SESSION, ACTION = P + '/jobs/' + ID['jobs'], P + '/sessions/' + ID['sessions'], P + '/actions/' + ID['actions']


def story(label: str, *steps: tuple) -> Case:
    """Steps are (method, path[, body[, more]])."""
    requests = []
    for number, (method, path, *rest) in enumerate(steps, 1):
        body: Any = rest[0] if rest else None
        more = rest[1] if len(rest) > 1 else {}
        requests.append(Request(number, method, path, body, label='story: ' + label, **more))
    return FIXTURE, requests


def start(job: str, tag: Any) -> dict[str, Any]:
    return {'start': {'job_id': job, 'current_tag': tag}}


def end(job: str, result: str) -> dict[str, Any]:
    return {'end': {'job_id': job, 'current_tag': 1, 'result': result}}


def sessions() -> Iterator[Case]:
    """Runs of sessions, and jobs that join and leave."""
    join = ('PUT', SESSION + '/jobs/' + ID['jobs'])
    action = SESSION + '/action'
    for hold_off in (-1, 3600):
        yield story(
            'a run with hold_off %d' % hold_off, ('PATCH', SESSION, {'hold_off': hold_off}),
            ('PATCH', SESSION, {'jobs': {ID['jobs']: {'client_id': 'node-1', 'status': '', 'result': ''}}}),
            *[('POST', action, start(ID['jobs'], tag)) for tag in (0, 0, 1, 1, '2', 9, -1, 1.5, True)],
            ('POST', action, start('nobody', 0)), ('POST', action, end('nobody', 'fail')),
            ('POST', action, end(ID['jobs'], 'success')), ('POST', action, end(ID['jobs'], 'fail')),
            ('POST', action, {'start': 5}), ('POST', action, {'end': {}}), ('POST', action, {'dance': {}}))
    yield story('join', join)
    yield story('join twice', join, join)
    yield story('a fail before a running one', ('PATCH', SESSION, {'jobs': {
        'a': {'client_id': 'n', 'status': 'running', 'result': ''}, 'b': {'client_id': 'n', 'status': 'running', 'result': ''}}}),
        ('POST', action, end('a', 'fail')), ('POST', action, end('b', 'success')))
    yield story('leave without jobs', ('DELETE', SESSION + '/jobs/' + ID['jobs']))
    yield story('leave twice', ('PATCH', SESSION, {'jobs': {'a': {'client_id': 'n', 'status': '', 'result': ''}}}),
                ('DELETE', SESSION + '/jobs/a'), ('DELETE', SESSION + '/jobs/nobody'))
    yield story('replaced', ('POST', SESSION, {'schedule': {}, 'status': 'active', 'session_tag': 3}))


def events() -> Iterator[Case]:
    """Events of jobs."""
    yield story('events', *[('POST', JOB + '/event', {event: params}) for event, params in (
        ('start', None), ('start', None), ('stop', {}), ('stop', 1), ('abort', 'x'), ('abort', None), ('remove', None))])
    gone = ('DELETE', P + '/clients/node-1')
    for event in ('start', 'stop', 'abort'):
        yield story('%s without a client' % event, gone, ('POST', JOB + '/event', {event: None}))
        yield story('%s of what the client cannot do' % event,
                    ('POST', P + '/clients', {'client_id': 'node-1', 'supported_modes': ['mysql']}),
                    ('POST', JOB + '/event', {event: None}))
    yield story('a start that was asked before', ('POST', JOB + '/event', {'start': None}), gone,
                ('POST', JOB + '/event', {'start': None}))
    yield story('a start of a job of several actions', ('POST', P + '/jobs', {'client_id': 'node-1', 'job_actions': [
        {'freezer_action': {'action': 'backup', 'storage': 's3', 'engine_name': 'tar'}},
        {'freezer_action': {'action': 'exec', 'mode': 'mysql'}}]}),
        *[step for can in ({'supported_actions': ['backup']}, {'supported_storages': ['local']}, {'supported_engines': ['rsync']})
          for step in (('POST', P + '/clients', {'client_id': 'node-1', **can}), ('POST', P + '/jobs/{{1.job_id}}/event', {'start': None}))])
    yield story('a whole schedule comes back', ('PATCH', JOB, {'job_schedule': {
        'time_created': 1, 'time_started': -1, 'time_ended': -1, 'schedule_interval': '2 days', 'status': 'running',
        'result': '', 'event': '', 'current_pid': 77}}), ('GET', JOB), ('GET', JOB, None, {'roles': 'service'}),
        ('GET', P + '/jobs', None, {'roles': 'reader'}))


def changes() -> Iterator[Case]:
    """The result of a change of a document."""
    yield story('part of a schedule', ('PATCH', JOB, {'job_schedule': {'status': 'completed'}}))
    yield story('no schedule', ('PATCH', JOB, {'description': 'new'}))
    yield story('another user', ('PATCH', JOB, {'job_schedule': {'event': ''}}, {'user': 'u2'}))
    yield story('another user of an action', ('PATCH', ACTION, {'freezer_action': {'action': 'exec'}}, {'user': 'u2'}))
    yield story('another user of a session', ('PATCH', SESSION, {'description': 'x'}, {'user': 'u2'}))
    yield story('another project', ('PATCH', SESSION, {'project_id': 'p2'}))
    yield story('a job of another project', ('PATCH', JOB, {'project_id': 'p2'}))
    yield story('an unknown client', ('PATCH', JOB, {'client_id': 'ghost'}))
    yield story('keys of old agents', ('PATCH', JOB, {'_version': 1}))
    yield story('a key of old agents', ('PATCH', JOB, {'session_name': 'x'}))
    shared = [{'action_id': ID['actions'], 'freezer_action': FREEZER_ACTION}]
    completed = {'job_id': '{{1.job_id}}', 'client_id': 'node-1', 'job_actions': shared,
                 'job_schedule': {'status': 'completed', 'result': 'success'}}
    for what, change in (('edited', ('PATCH', ACTION, {'freezer_action': {**FREEZER_ACTION, 'container': '/moved'}})), ('deleted', ('DELETE', ACTION))):
        yield story('a whole document of a job whose action was ' + what,
                    ('POST', P + '/jobs', {'client_id': 'node-1', 'job_actions': shared}), change,
                    ('PATCH', P + '/jobs/{{1.job_id}}', completed))
    yield story('what a job has already, when its client is gone',
                ('POST', P + '/jobs', {'client_id': 'node-1', 'job_actions': shared}), ('DELETE', P + '/clients/node-1'),
                ('PATCH', P + '/jobs/{{1.job_id}}', {'client_id': 'node-1', 'description': 'x', 'job_actions': shared}))
    yield story('an unknown key of a session', ('PATCH', SESSION, {'colour': 'red'}))
    yield story('replaced without retries', ('POST', ACTION, {'freezer_action': {'action': 'exec'}}))
    yield story('a flat patch', ('PATCH', P + '/backups/' + ID['backups'], {'container': 'elsewhere'}))
    yield story('a new job under its own path', ('POST', P + '/jobs/mine', SMALL['jobs']))
    yield story('an action of a job is deleted', ('POST', P + '/jobs', {
        'client_id': 'node-1', 'job_actions': [{'action_id': ID['actions']}, {'freezer_action': {'action': 'exec'}}]}),
        ('GET', P + '/jobs/{{1.job_id}}'), ('DELETE', ACTION), ('GET', P + '/jobs/{{1.job_id}}'))
    yield story('a refused job', ('POST', P + '/jobs', {
        'client_id': 'ghost', 'job_actions': [{'freezer_action': {'action': 'backup'}}]}))
    yield story('defaults beside an id', ('POST', P + '/jobs', {
        'client_id': 'node-1', 'job_actions': [{'action_id': ID['actions']}], 'action_defaults': {'storage': 'local'}}))
    yield story('too long for a client that is not there', ('POST', P + '/jobs', {
        'client_id': 'ghost', 'job_actions': [], 'description': 'x' * 256}))
    yield story('an engine that nobody has', ('POST', P + '/jobs', {
        'client_id': 'node-1', 'job_actions': [{'freezer_action': {'action': 'backup', 'engine_name': 'steam'}}]}))
    for number, nothing in enumerate(([], {}, 0, '', False, None, 0.0)):
        yield story('nothing as a storage %d' % number, ('POST', P + '/jobs', {
            'client_id': 'node-1', 'job_actions': [{'freezer_action': {'action': 'backup', 'storage': nothing}}]}))
    yield story('a list as a storage', ('POST', P + '/jobs', {
        'client_id': 'node-1', 'job_actions': [{'freezer_action': {'action': 'backup', 'storage': ['s3']}}]}))
    yield story('a number as a client, and too long a container', ('POST', P + '/jobs', {
        'client_id': 7, 'job_actions': [{'freezer_action': {'action': 'backup', 'container': 'x' * 256}}]}))
    yield story('too long an action', ('POST', P + '/jobs', {
        'client_id': 'node-1', 'job_actions': [{'freezer_action': {'action': 'x' * 256}}]}))
    yield story('too long a value beside a wrong one', ('POST', P + '/jobs', {'client_id': 'node-1', 'job_actions': [
        {'freezer_action': {'action': 'backup', 'container': 'x' * 256}}, {'freezer_action': {'action': 'backup', 'mode': 'steam'}}]}))
    yield story('defaults beside an id, and an unknown key', ('POST', P + '/jobs', {
        'client_id': 'node-1', 'job_actions': [{'action_id': ID['actions']}], 'action_defaults': {'storage': 's3'}, 'colour': 'red'}))
    yield story('an unknown action beside a wrong event', ('POST', P + '/jobs', {
        'client_id': 'node-1', 'job_actions': [{'action_id': 'nobody'}], 'job_schedule': {'event': 'dance'}}))
    yield story('too long a hostname of a client that is there', ('POST', P + '/clients', {
        'client_id': 'node-1', 'hostname': 'x' * 256}))
    yield story('more than the largest body', ('POST', P + '/backups', {**SMALL['backups'], 'a': 'x' * 70000, 'b': 'y' * 70000}))
    yield story('more metadata than 19.0.0 can store, for a storage that nobody has', ('POST', P + '/jobs', {
        'client_id': 'node-1', 'job_actions': [{'freezer_action': {'action': 'backup', 'storage': 'x' * 70000}}]}))
    yield story('too long a default that nothing needs', ('POST', P + '/jobs', {'client_id': 'node-1', 'action_defaults': {'log_file': 'x' * 256},
                'job_actions': [{'freezer_action': {'action': 'backup', 'log_file': '/l'}}]}))
    yield story('too long a status of a new session', ('POST', P + '/sessions', {'schedule': {}, 'status': 'x' * 256}))
    yield story('too long a flat key', ('PATCH', P + '/backups/' + ID['backups'], {'job_id': 'x' * 37}))
    yield story('an object as the job of a backup', ('POST', P + '/backups', {**SMALL['backups'], 'job_id': {'a': 1}}))
    yield story('null as a session', ('POST', P + '/jobs', {**SMALL['jobs'], 'session_id': None}))
    for path, body in ((JOB, SMALL['jobs']), (SESSION, {'schedule': {}, 'session_tag': 0})):
        yield story('replaced by null', ('POST', path, {**body, 'description': None}))
    yield story('null for a session', ('POST', P + '/jobs', {**SMALL['jobs'], 'session_id': 'old'}),
                ('POST', P + '/jobs/{{1.job_id}}', {**SMALL['jobs'], 'session_id': None}))
    yield story('null for a session of a patch', ('PATCH', JOB, {'session_id': None}))
    yield story('null as a hold-off', ('PATCH', SESSION, {'hold_off': None}))
    yield story('null as defaults', ('PATCH', JOB, {'action_defaults': None, 'job_actions': []}))
    yield story('an empty list as an id', ('POST', P + '/jobs', {**SMALL['jobs'], 'job_id': []}))
    yield story('no uuid', ('POST', P + '/clients', {'client_id': 'node-7', 'uuid': ''}))
    yield story('a client that comes back', ('GET', P + '/clients/node-1'), ('DELETE', P + '/clients/node-1'),
                ('POST', P + '/clients', {'client_id': 'node-1'}))
    yield story('a client that another user registers', ('POST', P + '/clients', {'client_id': 'node-1'}, {'user': 'u2'}))
    yield story('a session that comes back', ('DELETE', SESSION),
                ('POST', SESSION, {'schedule': {}, 'session_tag': 0}))
    yield story('flat keys beside metadata', ('PATCH', P + '/backups/' + ID['backups'], {
        'backup_metadata': {'mode': 'fs'}, 'colour': False}))
    yield story('a slash in an id', ('GET', P + '/jobs/a%2Fb'), ('DELETE', P + '/jobs/a%2Fb'))
    yield story('null retries', ('POST', P + '/jobs', {
        'client_id': 'node-1', 'job_actions': [{'freezer_action': {'action': 'backup'}, 'max_retries': None}]}))
    yield story('a wrong type and a wrong client', ('POST', P + '/jobs', {
        'client_id': 'ghost', 'job_actions': [{'freezer_action': {'action': 'backup', 'timeout': 'soon'}}]}))
    yield story('a wrong type of nothing', ('PATCH', P + '/actions/nope', {'freezer_action': {'action': 5}}))
    yield story('actions for no job', ('PATCH', P + '/jobs/nope', {
        'job_actions': [{'freezer_action': {'action': 'backup'}}]}))
    yield story('an unknown action for no job', ('PATCH', P + '/jobs/nope', {'job_actions': [{'action_id': 'nobody'}]}))
    yield story('a dance of no session', ('POST', P + '/sessions/nope/action', {'dance': {}}))
    yield story('a start of no session', ('POST', P + '/sessions/nope/action', start('nobody', -1)))
    yield story('two wrong keys of a job', ('POST', P + '/jobs', {'client_id': 'node-1', 'job_actions': [{}], 'colour': 'red'}))
    for path, method, client in ((P + '/jobs', 'POST', 'ghost'), (P + '/jobs/nope', 'PATCH', 'node-1')):
        yield story('null retries of a job that is refused', (method, path, {
            'client_id': client, 'job_actions': [{'freezer_action': {'action': 'backup'}, 'max_retries': None}]}))
    yield story('is_central of a kind', ('POST', P + '/clients', {'client_id': 'node-8', 'is_central': 1}))
    yield story('mandatory', ('POST', P + '/actions', {'freezer_action': {'action': 'exec'}, 'mandatory': True}),
                ('GET', P + '/actions?limit=1000'))
    yield story('numbers', ('POST', P + '/backups', {**SMALL['backups'], 'a': 12345678901234567890123, 'b': 9007199254740993}))
    for name, body in (('jobs', {**SMALL['jobs'], 'job_id': 'again'}),
                       ('actions', {**SMALL['actions'], 'action_id': 'again'}),
                       ('clients', {'client_id': 'again', 'uuid': '5f6c7b9e-0000-4000-8000-000000000001'})):
        yield story('a deleted id of ' + name, ('POST', P + '/' + name, body), ('POST', P + '/' + name, body),
                    ('DELETE', P + '/%s/again' % name), ('POST', P + '/' + name, body))


def tenants() -> Iterator[Case]:
    """Other projects, and central clients."""
    p2 = {'project': 'p2'}
    yield story('a foreign id', ('POST', '/v2/p2/actions', {**SMALL['actions'], 'action_id': 'taken'}),
                ('POST', P + '/actions', {**SMALL['actions'], 'action_id': 'taken'}),
                ('POST', P + '/actions/taken', SMALL['actions']))
    yield story('a foreign backup', ('DELETE', '/v2/p2/backups/' + ID['backups'], None, p2))
    for roles in ('admin', 'service'):
        for query in ('', '?all_projects=False', '?all_projects=True'):
            yield story('all projects of ' + roles, ('GET', '/v2/p2/jobs' + query, None, {'roles': roles}))
    central = {'client_id': 'central', 'hostname': 'c', 'is_central': True}
    admin = {'roles': 'admin'}
    yield story(
        'a central client', ('POST', P + '/clients', central, admin), ('GET', '/v2/p2/clients/central'),
        ('GET', '/v2/p2/clients'), ('POST', '/v2/p2/clients', central, admin), ('POST', '/v2/p2/clients', {'client_id': 'central'}),
        ('POST', '/v2/p2/jobs', {'client_id': 'central', 'job_actions': []}), ('DELETE', '/v2/p2/clients/central'),
        ('DELETE', P + '/clients/central'))
    yield story(
        # freezer-api 19.0.0 shows the one whose uuid comes first
        'one name twice', ('POST', P + '/clients', {'client_id': 'twice', 'hostname': 'a', 'uuid': 'f' * 32}),
        ('POST', P + '/clients', {'client_id': 'twice', 'hostname': 'b', 'uuid': '0' * 32, 'is_central': True}, admin),
        ('DELETE', P + '/clients/twice'))


def names() -> Iterator[Case]:
    """Names that differ only in case or accents, as MariaDB compares them."""
    yield story(
        'case', ('POST', P + '/clients', {'client_id': 'Node-1', 'description': 'capital'}), ('GET', P + '/clients'),
        ('GET', P + '/clients/NODE-1'), ('POST', P + '/jobs', {'client_id': 'NODE-1', 'job_actions': []}),
        ('GET', P + '/jobs', {'match': [{'client_id': 'node-1'}]}), ('GET', P + '/jobs', {'match': [{'client_id': 'NODE-1'}]}),
        ('DELETE', P + '/clients/NoDe-1'))
    yield story('case of ids', ('POST', P + '/actions', {**SMALL['actions'], 'action_id': 'Abc'}),
                ('GET', P + '/actions/abc'), ('POST', P + '/actions', {**SMALL['actions'], 'action_id': 'aBC'}),
                ('PATCH', P + '/actions/ABC', {'freezer_action': {'action': 'exec', 'mode': 'fs'}, 'max_retries': 1, 'max_retries_interval': 1}))
    yield story('two slashes', ('GET', P + '/jobs//'), ('DELETE', P + '/jobs//'))
    yield story('case of projects', ('GET', '/v2/P1/jobs'), ('GET', '/v2/P1/clients/node-1'))


def lists() -> Iterator[Case]:
    """Pages and searches."""
    rows = [('POST', P + '/backups', {**SMALL['backups'], 'backup_name': 'b%d' % (number % 3), 'time_stamp': 1500000000 + number,
                                      'deep': {'list': [{'k': number}, {'k': 'x'}], 'Text': 'Größe %d' % number}})
            for number in range(7)]
    searches = [
        {}, {'match': []}, {'match': [{'backup_name': 'b1'}]}, {'match': [{'backup_name': 'B1'}]}, {'match_not': [{'backup_name': 'b1'}]},
        {'match': [{'hostname': 'h'}, {'backup_name': 'b1'}]}, {'match': [{'hostname': 'h', 'backup_name': 'b2'}]},
        {'match': [{'k': 'x'}]}, {'match': [{'k': 3}]}, {'match_not': [{'k': 3}]}, {'match': [{'time_stamp': 1500000001}]},
        {'match': [{'time_stamp': 1500000001.0}]}, {'match': [{'time_stamp': '1500000001'}]}, {'match': [{'absent': None}]},
        {'match': [{'status': 'available'}]}, {'match': [{'_all': '[{"backup_name": "b1"}]'}]}, {'match': [{'_all': 'größe'}]},
        {'match': [{'_all': '{"a": 1}'}]}, {'match': {'backup_name': 'b1'}}, {'match': 'b1'}, {'match': None}, {'colour': 'red'},
        {'match': [1]}, [], {'time_after': 1500000003}, {'time_before': 1500000003}, {'match': [{'hostname': 'h'}], 'time_after': 1500000003},
        {'match': [{'deep': {'list': []}}]}, {'match': [{'is_central': False}]}, {'match': [{}]},
    ]
    yield story('searches', *rows, *[('GET', P + '/backups?limit=1000', body) for body in searches],
                *[('GET', P + '/backups' + query) for query in (
                    '', '?limit=3', '?limit=3&offset=2', '?offset=6', '?offset=99', '?limit=0', '?limit=-1', '?offset=-1', '?limit=x',
                    '?limit=', '?limit=2.5', '?limit=1&limit=1000', '?limit=99999999999999999999', '?limit=%201', '?LIMIT=1')],
                ('GET', P + '/backups?limit=1&offset=1', {'match': [{'backup_name': 'b1'}]}))
    yield story('identity', ('POST', P + '/jobs', {
        'client_id': 'node-1', 'job_actions': [{'freezer_action': {'action': 'exec', 'client_id': 'other', 'project_id': 'p7'}}]}),
        *[('GET', P + '/jobs?limit=1000', {'match': [pair]}) for pair in (
            {'client_id': 'other'}, {'client_id': 'node-1'}, {'project_id': 'p7'}, {'action': 'exec'}, {'status': ''})],
        ('GET', P + '/jobs?all_projects=junk'), ('GET', P + '/jobs?all_projects='))


def all_stories() -> Iterator[Case]:
    """Every story; each begins anew."""
    for stories in (sessions, events, changes, tenants, names, lists):
        yield from stories()
