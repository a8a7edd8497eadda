"""The load: threads that behave like schedulers, agents and users of the command line, and record every outcome.

Each kind of worker tests one promise; `checker.py` and `sessions.py` hold the history against it.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from client import Answer, Client
from history import History, Operation

PROJECT = 'faults'
# clients that all workers register at the same time
NAMES = 6
NODES = 3
# seconds in which a run can be joined: longer than a scenario, and than its clocks jump
HOLD_OFF = 10_000_000


class Worker:
    """One thread: repeats a step until the load ends."""

    def __init__(self, load: 'Load', name: str, first: int, step: Callable[['Worker'], None], keep: bool) -> None:
        self.load, self.name, self.step = load, name, step
        self.client = Client(load.processes, PROJECT, first, keep)
        self.random = random.Random('%s-%s' % (load.seed, name))
        self.count = 0
        self.state: dict[str, Any] = {}
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        try:
            while not self.load.ending.is_set():
                self.count += 1
                self.step(self)
                self.load.ending.wait(self.load.pause * self.random.uniform(0.5, 1.5))
        except Exception as error:  # the harness has a defect: the scenario fails
            self.load.surprises.append('%s: %r' % (self.name, error))
            raise
        finally:
            self.client.close()

    def other(self) -> int:
        """A process that is not the worker's own, if there is one."""
        count = len(self.load.processes)
        return (self.client.first + self.random.randrange(1, count)) % count if count > 1 else 0

    def ask(self, kind: str, key: str, value: Any, method: str, path: str, body: Any = None,
            process: int | None = None, result: Callable[[Any], Any] = lambda body: body) -> Operation:
        """Sends one request and records it; `result` reduces the answer's body to the part that is checked."""
        history = self.load.history
        operation = history.invoke(self.name, kind, key, value)
        answer = self.client.call(method, path, body, process)
        operation.process = answer.process
        if not answer.sent:
            history.complete(operation, 'unsent', 0, note=answer.error)
            # without a process to ask, do not spin
            time.sleep(0.05)
        elif 200 <= answer.status < 300:
            history.complete(operation, 'ok', answer.status, result(answer.body))
        else:
            history.complete(operation, 'fail' if 400 <= answer.status < 500 else 'unknown', answer.status,
                             note=answer.error or text(answer))
        return operation


def text(answer: Answer) -> str:
    """Returns the text of an error."""
    body = answer.body
    return str(body.get('description', body) if isinstance(body, dict) else body)[:300]


class Load:
    """All workers of a scenario."""

    def __init__(self, processes: list[Any], history: History, pause: float = 0.04, seed: int = 1,
                 keep: bool = True) -> None:
        self.processes, self.history, self.pause, self.seed = processes, history, pause, seed
        self.ending = threading.Event()
        self.surprises: list[str] = []
        steps: list[tuple[str, int, Callable[[Worker], None]]] = [
            ('backups', 2, create_backup), ('documents', 2, create_document), ('owner', 2, patch_own),
            ('rivals', 2, patch_shared), ('deleter', 1, create_and_delete), ('register', 2, register)]
        self.workers = []
        for name, count, step in steps:
            for number in range(count):
                self._add('%s-%d' % (name, number), step, keep)
        self.groups = [Group(self, 'group-%d' % number, keep) for number in range(2)]

    def _add(self, name: str, step: Callable[[Worker], None], keep: bool) -> Worker:
        worker = Worker(self, name, len(self.workers) % len(self.processes), step, keep)
        self.workers.append(worker)
        return worker

    def start(self) -> None:
        """Begins. The documents that many workers change are made first, without a fault."""
        maker = Worker(self, 'maker', 0, lambda worker: None, True)
        for number in range(2):
            register_name(maker, 'rival-node-%d' % number)
        shared = [must(maker, 'jobs', job('rivals', 'rival-node-%d' % number), 'job_id') for number in range(2)]
        for worker in self.workers:
            worker.state['shared'] = shared
        maker.client.close()
        for worker in self.workers:
            worker.thread.start()

    def finish(self) -> None:
        """Lets every request that is under way end."""
        self.ending.set()
        for group in self.groups:
            group.barrier.abort()
        for worker in self.workers:
            if worker.thread.ident is None:
                continue
            worker.thread.join(180)
            if worker.thread.is_alive():
                self.surprises.append('%s does not end' % worker.name)


def must(worker: Worker, path: str, body: Any, key: str) -> str:
    """Creates a document before any fault; returns its id."""
    answer = worker.client.call('POST', path, body)
    if answer.status != 201:
        raise RuntimeError('POST %s: %s %s %s' % (path, answer.status, answer.body, answer.error))
    return str(answer.body[key])


def register_name(worker: Worker, name: str) -> None:
    """Registers a client before any fault."""
    must(worker, 'clients', {'client_id': name, 'hostname': name}, 'client_id')


def action(mark: str, number: int = 0) -> dict[str, Any]:
    """A definition with a mark to find it by."""
    return {'freezer_action': {'action': 'backup', 'mode': 'fs', 'backup_name': '%s/%d' % (mark, number),
                               'container': '/srv/store', 'path_to_backup': '/srv'}}


def job(mark: str, node: str) -> dict[str, Any]:
    """A job of two actions."""
    return {'description': mark, 'client_id': node, 'job_schedule': {'schedule_interval': '1 days'},
            'job_actions': [action(mark, number) for number in range(2)]}


def backup(mark: str) -> dict[str, Any]:
    """An entry of the catalogue."""
    return {'backup_name': mark, 'container': '/srv/store', 'hostname': mark, 'time_stamp': int(time.time()),
            'curr_backup_level': 0, 'level': 0, 'mode': 'fs'}


def create_backup(worker: Worker) -> None:
    """A backup, which is then read through another process."""
    mark = '%s-%d' % (worker.name, worker.count)
    done = worker.ask('create backups', mark, None, 'POST', 'backups', backup(mark),
                      result=lambda body: body['backup_id'])
    if done.ok and worker.count % 3 == 0:
        worker.ask('read backups', mark, done.result, 'GET', 'backups/%s' % done.result, process=worker.other(),
                   result=lambda body: body['backup_metadata']['backup_name'])


def create_document(worker: Worker) -> None:
    """A job, an action or a session in turn."""
    mark = '%s-%d' % (worker.name, worker.count)
    kind, body = (('jobs', job(mark, 'rival-node-0')), ('actions', action(mark)),
                  ('sessions', {'description': mark, 'hold_off': 60, 'schedule': {'schedule_interval': '1 days'}})
                  )[worker.count % 3]
    done = worker.ask('create ' + kind, mark, None, 'POST', kind, body, result=lambda body: body[kind[:-1] + '_id'])
    if done.ok:
        worker.ask('read ' + kind, mark, done.result, 'GET', '%s/%s' % (kind, done.result), process=worker.other(),
                   result=lambda body: mark_of(kind, body))


def mark_of(kind: str, document: dict[str, Any]) -> str:
    """The mark of a document that was read."""
    if kind == 'backups':
        return str(document['backup_metadata']['backup_name'])
    if kind == 'actions':
        return str(document['freezer_action']['backup_name']).rpartition('/')[0]
    return str(document['description'])


def patch_own(worker: Worker) -> None:
    """Counts up in a job that only this worker changes, while another process is asked for it."""
    if 'own' not in worker.state:
        mark = '%s-job-%d' % (worker.name, worker.count)
        done = worker.ask('create jobs', mark, None, 'POST', 'jobs', job(mark, 'rival-node-0'),
                          result=lambda body: body['job_id'])
        if not done.ok:
            return
        worker.state['own'] = done.result
    own = worker.state['own']
    worker.ask('patch own', own, worker.count, 'PATCH', 'jobs/' + own, {'description': 'n=%d' % worker.count},
               result=lambda body: None)
    worker.ask('read own', own, None, 'GET', 'jobs/' + own, process=worker.other(),
               result=lambda body: body['description'])


def patch_shared(worker: Worker) -> None:
    """Writes a value that occurs once into a job that several workers change."""
    shared = worker.state['shared'][worker.count % 2]
    value = '%s-%d' % (worker.name, worker.count)
    worker.ask('patch shared', shared, value, 'PATCH', 'jobs/' + shared, {'description': value},
               result=lambda body: None)


def create_and_delete(worker: Worker) -> None:
    """A backup that is deleted at once through another process, which must find it."""
    mark = '%s-%d' % (worker.name, worker.count)
    done = worker.ask('create backups', mark, None, 'POST', 'backups', backup(mark),
                      result=lambda body: body['backup_id'])
    if not done.ok:
        return
    deleted = worker.ask('delete backups', mark, done.result, 'DELETE', 'backups/%s' % done.result,
                         process=worker.other(), result=lambda body: None)
    if deleted.ok:
        worker.ask('read deleted', mark, done.result, 'GET', 'backups/%s' % done.result)


def register(worker: Worker) -> None:
    """Registers one of a few names, which others register at the same time, as restarting nodes do."""
    name = 'node-%d' % (int(time.monotonic() * 4) % NAMES)
    worker.ask('register', name, worker.name, 'POST', 'clients',
               {'client_id': name, 'hostname': name, 'description': worker.name},
               result=lambda body: body['client_id'])


class Group:
    """Nodes whose jobs run together in a session: all start, then all end, again and again, with a new session each time."""

    def __init__(self, load: Load, name: str, keep: bool) -> None:
        self.load, self.name = load, name
        self.barrier = threading.Barrier(NODES, self._prepare)
        self.session: str | None = None
        self.jobs: list[str] = []
        self.maker = Worker(load, name + '-maker', 0, lambda worker: None, keep)
        for number in range(NODES):
            load._add('%s-node-%d' % (name, number), lambda worker, number=number: self.step(worker, number), keep)

    def _prepare(self) -> None:
        """Makes the next session and its jobs. Nothing of it is used if any part is not confirmed."""
        self.session = None
        maker = self.maker
        maker.count += 1
        mark = '%s-%d' % (self.name, maker.count)
        if not self.jobs:
            found = [maker.ask('create jobs', '%s-job-%d' % (mark, number), None, 'POST', 'jobs',
                               job('%s-job-%d' % (mark, number), 'rival-node-0'), result=lambda body: body['job_id'])
                     for number in range(NODES)]
            if not all(job.ok for job in found):
                return
            self.jobs = [job.result for job in found]
        made = maker.ask('create sessions', mark, None, 'POST', 'sessions', {
            'description': mark, 'hold_off': HOLD_OFF, 'schedule': {'schedule_interval': '1 days'}},
            result=lambda body: body['session_id'])
        if made.ok and all(maker.ask('join', made.result, job, 'PUT', 'sessions/%s/jobs/%s' % (made.result, job)).ok
                           for job in self.jobs):
            self.session = made.result

    def step(self, worker: Worker, number: int) -> None:
        """One run of a node: start until it is confirmed, end until it is confirmed, and a look at the session."""
        try:
            self.barrier.wait(120)
        except threading.BrokenBarrierError:
            worker.load.ending.wait(0.1)
            return
        session = self.session
        if session is None:
            return
        job = self.jobs[number]
        for name, parameters in (('start', {'current_tag': 0}), ('end', {'result': 'success'})):
            # a scheduler asks again at its next tick
            for _ in range(8):
                done = worker.ask('session ' + name, session, job, 'POST', 'sessions/%s/action' % session,
                                  {name: {'job_id': job, **parameters}})
                if done.ok or worker.load.ending.is_set():
                    break
                worker.load.ending.wait(0.3)
            worker.ask('session read', session, None, 'GET', 'sessions/' + session, process=worker.other(),
                       result=session_view)


def session_view(body: dict[str, Any]) -> dict[str, Any]:
    """Returns the checked part of a session."""
    return {'tag': body['session_tag'], 'status': body['status'], 'result': body['result'],
            'jobs': {job: [entry.get('status'), entry.get('result')] for job, entry in (body.get('jobs') or {}).items()}}
