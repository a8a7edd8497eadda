"""Random stories: the same seed always gives the same requests, regardless of the answers.

Requests refer to the answers of earlier ones, so a story with requests taken out is still one.
"""
import random
from typing import Any

from .documents import FREEZER_ACTION, FULL, ODD, SCHEDULE, SHAPES, SMALL, places, replaced, without
from .exchange import Request

COLLECTIONS = ('clients', 'actions', 'jobs', 'sessions', 'backups')
#: The operations and their relative frequencies.
WEIGHTS = {
    'client': 6, 'action': 6, 'job': 10, 'session': 5, 'backup': 5, 'show': 10, 'list': 8, 'search': 8,
    'patch': 16, 'replace': 5, 'delete': 5, 'event': 8, 'add job': 6, 'remove job': 3, 'session action': 10, 'odd path': 1,
}
STATUSES = ('', 'completed', 'stop', 'scheduled', 'running', 'aborting', 'removed')
RESULTS = ('', 'success', 'fail', 'aborted')
EVENTS = ('', 'stop', 'start', 'abort', 'remove')
NAMES = ('node-1', 'node-2', 'p9_node-3.example', 'Node-1')


class Walk:
    """One story. `hostility` is the share of requests that are made wrong on purpose."""

    def __init__(self, seed: int, length: int, hostility: float) -> None:
        self.random = random.Random(seed)
        self.hostility = hostility
        self.requests: list[Request] = []
        self.made: dict[str, list[str]] = {name: [] for name in COLLECTIONS}
        self.in_session: list[tuple[str, str]] = []
        self.register('node-1')
        while len(self.requests) < length:
            kind = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            getattr(self, 'do_' + kind.replace(' ', '_'))()

    # The requirements of a request.

    def one(self, options: Any) -> Any:
        return self.random.choice(list(options))

    def maybe(self, chance: float) -> bool:
        return self.random.random() < chance

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> int:
        """Adds a request, wrong in some way every now and then; returns its number."""
        raw = None
        if body is not None and self.maybe(self.hostility):
            if self.maybe(0.15):
                raw, body = SHAPES[self.one(SHAPES)], None
            else:
                body = self.spoiled(body)
        number = len(self.requests) + 1
        project = 'p2' if self.maybe(0.1) else 'p1'
        self.requests.append(Request(number, method, '/v2/' + project + path, body, raw,
                                     label='generated', **{**self.caller(), **more}))
        return number

    def caller(self) -> dict[str, str]:
        """Who asks: most often the one member."""
        if self.maybe(0.95):
            return {}
        return self.one(({'roles': 'admin'}, {'roles': 'reader'}, {'roles': 'service'}, {'user': 'u2'},
                         {'project': 'p2'}))

    def spoiled(self, body: Any) -> Any:
        """A body with one to three values replaced, taken away, or too many."""
        for _ in range(self.random.randint(1, 3)):
            found = list(places(body))
            if not found or self.maybe(0.1):
                body = dict(body, colour=self.one(ODD.values())) if isinstance(body, dict) else body
            elif self.maybe(0.2):
                body = without(body, self.one(found))
            else:
                body = replaced(body, self.one(found), self.one(ODD.values()))
        return body

    def some(self, document: dict[str, Any], chance: float = 0.5) -> dict[str, Any]:
        return {key: value for key, value in document.items() if self.maybe(chance)}

    def an(self, collection: str) -> str:
        """The id of something that was made before, most often."""
        known = self.made[collection]
        if not known or self.maybe(0.04):
            return 'nope'
        return self.one(known[-4:])

    # documents

    def schedule(self) -> dict[str, Any]:
        document = self.some(SCHEDULE, 0.3)
        if self.maybe(0.3):
            document.update(event=self.one(EVENTS))
        if self.maybe(0.4):
            document.update(status=self.one(STATUSES), result=self.one(RESULTS))
        if self.maybe(0.3):
            document.update(schedule_hour=str(self.random.randint(0, 23)), schedule_minute='*/5')
        if self.maybe(0.2):
            document.update(time_started=self.one((-1, 1500000000)), time_ended=-1,
                            current_pid=self.random.randint(1, 99999))
        return document

    def freezer_action(self) -> dict[str, Any]:
        document = {'action': self.one(('backup', 'restore', 'exec', 'admin', 'info')), **self.some(FREEZER_ACTION)}
        if self.maybe(0.2):
            document['x_' + self.one('abc')] = self.one((1, 'text', None, [1, {'a': 2}], {'b': True}, 1.25, 'ä€😀'))
        return document

    def job_action(self) -> dict[str, Any]:
        if self.made['actions'] and self.maybe(0.25):
            return {'action_id': self.an('actions')}
        return {'freezer_action': self.freezer_action(),
                **self.some({'max_retries': self.random.randint(0, 9), 'max_retries_interval': 7, 'mandatory': True})}

    def job(self) -> dict[str, Any]:
        document = {'client_id': self.one(('node-1', 'node-1', *self.made['clients'][-2:])),
                    'job_actions': [self.job_action() for _ in range(self.random.randint(0, 3))]}
        if self.maybe(0.8):
            document['job_schedule'] = self.schedule()
        if self.maybe(0.6):
            document['description'] = self.one(('nightly', '', 'Sicherung der Größe', 'x' * 200))
        if document['job_actions'] and self.maybe(0.15):
            document['action_defaults'] = self.some({'log_file': '/var/log/all.log', 'timeout': 5, 'storage': 's3'})
        return document

    def session(self) -> dict[str, Any]:
        return {'schedule': self.schedule(), **self.some({
            'description': self.one(('all', '')), 'hold_off': self.one((-1, 3600)), 'status': self.one(STATUSES)})}

    def backup(self) -> dict[str, Any]:
        return {**SMALL['backups'], **self.some(FULL['backups'])}

    # requests

    def register(self, name: str, **more: Any) -> None:
        self.send('POST', '/clients', {'client_id': name, **self.some(FULL['clients'], 0.2), **more,
                                       'client_id': name, 'uuid': ''} if self.maybe(0.05) else
                  {'client_id': name, 'hostname': 'h', **more})
        self.made['clients'].append(name)

    def do_client(self) -> None:
        name = self.one(NAMES[:3])
        self.register(name, **self.some({'description': self.one(('a', 'b')), 'supported_modes': ['fs', 'mysql'],
                                         'supported_actions': ['backup', 'restore', 'exec']}, 0.2))

    def do_action(self) -> None:
        number = self.send('POST', '/actions', {'freezer_action': self.freezer_action(), **self.some(
            {'max_retries': 3, 'max_retries_interval': 60, 'mandatory': True})})
        self.made['actions'].append('{{%d.action_id}}' % number)

    def do_job(self) -> None:
        number = self.send('POST', '/jobs', self.job())
        job_id = '{{%d.job_id}}' % number
        self.made['jobs'].append(job_id)
        if self.maybe(0.3):
            number = self.send('GET', '/jobs/' + job_id)
            self.made['actions'].append('{{%d.job_actions.0.action_id}}' % number)

    def do_session(self) -> None:
        number = self.send('POST', '/sessions', self.session())
        self.made['sessions'].append('{{%d.session_id}}' % number)

    def do_backup(self) -> None:
        number = self.send('POST', '/backups', self.backup())
        self.made['backups'].append('{{%d.backup_id}}' % number)

    def do_show(self) -> None:
        collection = self.one(COLLECTIONS)
        self.send('GET', '/%s/%s' % (collection, self.an(collection)))

    def do_list(self) -> None:
        query = self.one(('', '?limit=1000', '?limit=3', '?limit=2&offset=1', '?offset=2', '?limit=0',
                          '?limit=1000&all_projects=True'))
        self.send('GET', '/%s%s' % (self.one(COLLECTIONS), query))

    def do_search(self) -> None:
        pairs = [{'client_id': 'node-1'}, {'status': self.one(STATUSES)}, {'description': 'nightly'},
                 {'backup_name': 'b'}, {'action': 'backup'}, {'job_id': self.an('jobs')}, {'mode': 'fs'},
                 {'session_id': self.an('sessions')}, {'hostname': 'h'}, {'timeout': 3600}, {'absent': 1}]
        body = {}
        for key in ('match', 'match_not'):
            if self.maybe(0.7):
                body[key] = self.random.sample(pairs, self.random.randint(0, 2))
        self.send('GET', '/%s?limit=1000' % self.one(COLLECTIONS), body)

    def do_patch(self) -> None:
        collection = self.one(('jobs', 'jobs', 'actions', 'sessions', 'backups'))
        if collection == 'jobs':
            # as a scheduler, which sends the whole schedule, and as people
            body = self.some({'description': self.one(('new', 'newer'))}, 0.3)
            if self.maybe(0.7):
                body['job_schedule'] = self.schedule()
            if self.maybe(0.2):
                body['job_actions'] = [self.job_action()]
        elif collection == 'actions':
            body = {'freezer_action': self.freezer_action(), **self.some({'max_retries': 1, 'max_retries_interval': 2})}
        elif collection == 'sessions':
            body = self.some(self.session())
        else:
            body = self.one(({'status': 'error'}, {'backup_metadata': self.some(FULL['backups'])},
                             {'status': 'available', 'backup_metadata': {'x': self.random.randint(0, 9)}}))
        self.send('PATCH', '/%s/%s' % (collection, self.an(collection)), body)

    def do_replace(self) -> None:
        collection = self.one(('jobs', 'actions', 'sessions'))
        if collection == 'jobs':
            body = {**self.job(), 'job_schedule': self.schedule()}
        elif collection == 'actions':
            body = {'freezer_action': {**FREEZER_ACTION, 'action': 'restore'}, 'max_retries': 2,
                    'max_retries_interval': 3}
        else:
            body = {**self.session(), 'session_tag': self.random.randint(0, 3), 'status': 'active'}
        self.send('POST', '/%s/%s' % (collection, self.an(collection)), body)

    def do_delete(self) -> None:
        collection = self.one(COLLECTIONS)
        self.send('DELETE', '/%s/%s' % (collection, self.an(collection)))

    def do_event(self) -> None:
        self.send('POST', '/jobs/%s/event' % self.an('jobs'), {self.one(('start', 'start', 'stop', 'abort')): None})

    def do_add_job(self) -> None:
        session, job = self.an('sessions'), self.an('jobs')
        self.send('PUT', '/sessions/%s/jobs/%s' % (session, job))
        self.in_session.append((session, job))

    def do_remove_job(self) -> None:
        session, job = self.one(self.in_session[-3:] or [(self.an('sessions'), self.an('jobs'))])
        self.send('DELETE', '/sessions/%s/jobs/%s' % (session, job))

    def do_session_action(self) -> None:
        session, job = self.one(self.in_session[-3:] or [(self.an('sessions'), self.an('jobs'))])
        body = self.one(({'start': {'job_id': job, 'current_tag': self.random.randint(0, 2)}},
                         {'end': {'job_id': job, 'current_tag': 1, 'result': self.one(('success', 'fail'))}}))
        self.send('POST', '/sessions/%s/action' % session, body)

    def do_odd_path(self) -> None:
        path = self.one(('/jobs/%20', '/jobs/a%2Fb', '/nothing', '/clients/%C3%A9', '/actions/' + 'x' * 300, '/jobs//',
                         '/backups/%00', '/sessions/;', '/jobs/?limit=x', '/clients?offset=9999999'))
        self.send(self.one(('GET', 'GET', 'DELETE')), path)
