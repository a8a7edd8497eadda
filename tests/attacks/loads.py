"""Many large requests at once: the memory of the service stays bounded, no request fails with 500, and the health check and
other projects are answered in the meantime.

`attacks.py` has the attacks with requests of other kinds.
"""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from attacks import Attack, Check
from target import MIB, Target, backup, head

# in a debug build on a machine with other work
SLOWEST = 5.0


class Load:
    """Requests that run at the same time, each in a thread, and what the service does meanwhile."""

    def __init__(self, target: Target, project: str = 'p') -> None:
        self.target = target
        self.statuses: Counter[int] = Counter()
        self.slowest: dict[str, float] = {}
        self.failed: list[str] = []
        self.took = 0.0
        self.project = project
        self.before = target.service_memory()
        self.peak = 0.0

    def run(self, requests: list[Callable[[], int]], seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Runs the requests. Meanwhile, others ask for a job, for backups and for the health check."""
        def one(request: Callable[[], int]) -> None:
            status = request()
            self.statuses[status] += 1

        threads = [threading.Thread(target=one, args=(request,), daemon=True) for request in requests]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        while time.monotonic() < begun + seconds and any(thread.is_alive() for thread in threads):
            self.probe()
            if until and until():
                until = None
        for thread in threads:
            thread.join(max(0.1, begun + seconds - time.monotonic()))
        self.took = time.monotonic() - begun
        self.statuses[0] += sum(thread.is_alive() for thread in threads)

    def probe(self) -> None:
        """One request of each kind that others send."""
        for name, path, project in (('healthcheck', '/healthcheck', ''), ('GET of another project', 'jobs', 'quiet'),
                                    ('small GET of the project', 'clients', self.project)):
            begun = time.monotonic()
            status = self.target.ask('GET', path, timeout=60, project=project)[0]
            self.slowest[name] = max(self.slowest.get(name, 0.0), time.monotonic() - begun)
            if status != 200:
                self.failed.append('%s: %d' % (name, status))
        self.peak = max(self.peak, (self.target.service_memory() - self.before) / MIB)
        time.sleep(0.1)

    def report(self, check: Check, name: str, allowed: set[int], bound: float) -> None:
        """Checks the statuses, the memory and the answers to others."""
        statuses = {status: count for status, count in self.statuses.items() if count}
        check('%s are answered with %s' % (name, ', '.join(map(str, sorted(allowed)))), set(statuses) <= allowed,
              '%s in %.1f s' % (statuses, self.took))
        check('%s take less than %.0f MiB' % (name, bound), self.target.alive() and self.peak < bound, '%.0f MiB' % self.peak)
        check('others are served', not self.failed, self.failed[:5])
        check('others are served within %.0f s' % SLOWEST, max(self.slowest.values(), default=0.0) < SLOWEST,
              ', '.join('%s %.2f s' % slowest for slowest in self.slowest.items()))


def node(target: Target, project: str = 'p') -> None:
    """Registers a client."""
    target.ask('POST', 'clients', {'client_id': 'n', 'hostname': 'n'}, project=project)


def action(**more: str) -> dict[str, str]:
    """The definition of an action."""
    return {'action': 'exec', 'command': 'c', **more}


POLL = {'match': [{'client_id': 'n'}], 'match_not': [{'status': 'completed'}]}


def large_polls(target: Target, check: Check, short: bool) -> None:
    """Polls for jobs that contain an action a thousand times, as earlier releases allowed."""
    target.start({'api': {'max_job_actions': '1000'}})
    node(target)
    action_id = target.ask('POST', 'actions', {'freezer_action': action()})[1]['action_id']
    job = {'client_id': 'n', 'job_actions': [{'action_id': action_id}] * 1_000}
    jobs = 10 if short else 60
    statuses = Counter(target.ask('POST', 'jobs', job)[0] for _ in range(jobs))
    check('the jobs are stored', set(statuses) == {201}, statuses)
    load = Load(target)
    count = 8 if short else 20
    load.run([lambda: target.ask('GET', 'jobs?limit=100', POLL, timeout=120)[0]] * count, 120)
    # a debug build needs longer than a request may take
    load.report(check, '%d polls for %d jobs with 1,000 actions' % (count, jobs), {200, 429, 503}, 400)


def jobs_of_former_releases(target: Target, check: Check, short: bool) -> None:
    """Requests for jobs that have 20 MB and 300 MB, and for a backup and a job whose row has 15 MB."""
    target.start({'api': {'max_job_actions': '1000'}})
    # its list of jobs must begin with the largest one, and other attacks leave jobs in their project
    project = 'former'
    node(target, project)
    ask = partial(target.ask, project=project)
    ids, actions = {}, []
    for name, places in (('huge', 300), ('large', 20), ('small', 1)):
        action_id = ask('POST', 'actions', {'freezer_action': action()})[1]['action_id']
        actions.append(action_id)
        job = {'client_id': 'n', 'job_actions': [{'action_id': action_id}] * places}
        ids[name] = ask('POST', 'jobs', job)[1]['job_id']
    backup_id = ask('POST', 'backups', backup('b'))[1]['backup_id']
    text = "CONCAT('{\"x\": \"', REPEAT('x', %d), '\"}')"
    # only these rows: other attacks leave many in the same tables
    for table, column, size, row_ids in (('actions', 'backup_metadata', 1_000_000, actions),
                                         ('backups', 'backup_metadata', 15_000_000, [backup_id]),
                                         ('jobs', 'schedule', 15_000_000, [ids['small']])):
        target.server.ask("UPDATE freezer.%s SET %s = %s WHERE id IN ('%s')"
                          % (table, column, text % size, "', '".join(row_ids)), 60)
    # 503: a debug build needs longer than a request may take
    count = 10 if short else 40
    bound = 700.0
    for name, method, path, body, allowed in (
            ('GETs of a job of 300 MB', 'GET', 'jobs/' + ids['huge'], None, {413}),
            ('events of it', 'POST', 'jobs/%s/event' % ids['huge'], {'start': None}, {202}),
            ('PATCHes of it', 'PATCH', 'jobs/' + ids['huge'], {'description': 'd'}, {200}),
            ('pages that leave it out', 'GET', 'jobs', None, {200, 429, 503}),
            ('polls that leave it out', 'GET', 'jobs', POLL, {200, 429, 503}),
            ('GETs of a job of 20 MB', 'GET', 'jobs/' + ids['large'], None, {200, 429, 503}),
            ('pages that begin with a job of 20 MB', 'GET', 'jobs?marker=' + ids['huge'], None, {200, 429, 503}),
            ('GETs of a job whose schedule has 15 MB', 'GET', 'jobs/' + ids['small'], None, {200, 429, 503}),
            ('PATCHes of it', 'PATCH', 'jobs/' + ids['small'], {'description': 'd'}, {200, 429, 503}),
            ('GETs of a backup of 15 MB', 'GET', 'backups/' + backup_id, None, {200, 429, 503}),
            ('pages with a backup of 15 MB', 'GET', 'backups', None, {200, 429, 503})):
        load = Load(target, project)
        load.run([lambda: ask(method, path, body, timeout=120)[0]] * count, 120)
        load.report(check, '%d %s' % (count, name), allowed, bound)


def compact(document: Any) -> bytes:
    """JSON without spaces: as many values as possible for its size."""
    return json.dumps(document, separators=(',', ':')).encode()


def dense(size: int) -> dict[str, list[Any]]:
    """Lists of about this many bytes that take 60 to 140 times as much memory."""
    return {'numbers': [1] * (size // 2), 'objects': [{'': 0}] * (size // 7), 'lists in lists': [[[[]]]] * (size // 8)}


def large_posts(target: Target, check: Check, short: bool) -> None:
    """Backups of 1 MB at once: most of them have one large text, and others have many small values."""
    target.start({'oslo_middleware': {'max_request_body_size': str(2 * MIB)}})
    few = backup('few', text='x' * 1_000_000)
    many = backup('many', **{'k%d' % number: number for number in range(55_000)})
    count = 10 if short else 70

    def post(document: dict[str, Any], number: int) -> Callable[[], int]:
        body = compact({**document, 'backup_name': 'b%d' % number})
        return lambda: target.ask('POST', 'backups', body, timeout=120)[0]

    load = Load(target)
    load.run([post(few if number % 10 else many, number) for number in range(count)], 120)
    load.report(check, '%d POSTs of 1 MB' % count, {201, 429, 503}, 900)
    for kind, values in dense(1_000_000).items():
        load = Load(target)
        load.run([post(backup('dense', k=values), number) for number in range(count)], 120)
        load.report(check, '%d POSTs of 1 MB of %s' % (count, kind), {201, 429, 503}, 900)


def locked_row(target: Target, check: Check, short: bool) -> None:
    """PATCHes of a large backup whose row is locked: other changes of the project are answered meanwhile."""
    target.start({'oslo_middleware': {'max_request_body_size': str(2 * MIB)}})
    backup_id = target.ask('POST', 'backups', backup('locked', text='x' * 900_000))[1]['backup_id']
    other_id = target.ask('POST', 'backups', backup('free'))[1]['backup_id']
    lock = target.server.connect(60)
    cursor = lock.cursor()
    cursor.execute('BEGIN')
    cursor.execute("SELECT id FROM freezer.backups WHERE id = '%s' FOR UPDATE" % backup_id)
    begun = time.monotonic()
    patches: list[tuple[int, float]] = []

    def other() -> bool:
        started = time.monotonic()
        patches.append((target.ask('PATCH', 'backups/' + other_id, {'n': len(patches)}, timeout=60)[0],
                        time.monotonic() - started))
        if time.monotonic() < begun + 8:
            return False
        lock.rollback()
        return True

    count = 30 if short else 70
    load = Load(target)
    load.run([lambda: target.ask('PATCH', 'backups/' + backup_id, {'note': 'n'}, timeout=120)[0]] * count, 120, other)
    lock.close()
    load.report(check, '%d PATCHes of a locked backup of 900 kB' % count, {200, 429, 503}, 500)
    slowest = max(took for _, took in patches)
    check('PATCHes of another backup of the project are stored', {status for status, _ in patches} == {200}, patches[:3])
    check('and are answered within %.0f s' % SLOWEST, slowest < SLOWEST, '%.2f s' % slowest)
    many_values(target, check, short)


def many_values(target: Target, check: Check, short: bool) -> None:
    """PATCHes with many small values that wait for a locked row, and small PATCHes of backups that have many small values."""
    target.start()
    ids = [target.ask('POST', 'backups', backup('many%d' % number))[1]['backup_id'] for number in range(8)]
    count = 60 if short else 300
    for kind, values in list(dense(108_000).items())[:1 if short else None]:
        body = compact({'backup_metadata': {'k': values}})
        lock = target.server.connect(60)
        cursor = lock.cursor()
        cursor.execute('BEGIN')
        cursor.execute("SELECT id FROM freezer.backups WHERE id = '%s' FOR UPDATE" % ids[0])
        end = time.monotonic() + 6

        small: Counter[int] = Counter()

        def released(lock: Any = lock, end: float = end, small: Counter[int] = small) -> bool:
            small[target.ask('PATCH', 'backups/' + ids[1], {'n': 1})[0]] += 1
            if time.monotonic() < end:
                return False
            lock.rollback()
            return True

        load = Load(target)
        load.run([lambda body=body: target.ask('PATCH', 'backups/' + ids[0], body, timeout=120)[0]] * count, 120, released)
        lock.close()
        load.report(check, '%d PATCHes with %s that wait for a locked backup' % (count, kind), {200, 429, 503}, 500)
        check('small PATCHes of another backup are stored', set(small) == {200}, dict(small))
    among = "', '".join(ids)
    for kind, values in dense(970_000).items():
        text = compact({'k': values}).decode()
        target.server.ask("UPDATE freezer.backups SET backup_metadata = '%s' WHERE id IN ('%s')" % (text, among), 60)
        load = Load(target)
        load.run([lambda one=one: target.ask('PATCH', 'backups/' + one, {'status': 'error'}, timeout=120)[0] for one in ids], 120)
        load.report(check, 'PATCHes of 8 backups with %s' % kind, {200, 429, 503}, 500)


def reader(target: Target, path: str, body: bytes = b'') -> socket.socket:
    """A connection that has sent a request and has a small buffer for its answer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(('127.0.0.1', target.port))
    connection.sendall(head(path, 'GET', Content_Length=str(len(body))) + body)
    return connection


def unread_polls(target: Target, check: Check, short: bool) -> None:
    """Polls for a job with an action of 1 MB, whose answers are not read."""
    target.start({'oslo_middleware': {'max_request_body_size': str(2 * MIB)}})
    node(target)
    job = {'client_id': 'n', 'job_actions': [{'freezer_action': action(text='x' * 1_000_000)}]}
    status = target.ask('POST', 'jobs', job)[0]
    check('the job is stored', status == 201, status)
    count = 20 if short else 40
    load = Load(target)
    held = [reader(target, '/v2/p/jobs?limit=10', json.dumps(POLL).encode()) for _ in range(count)]
    end = time.monotonic() + (5 if short else 15)
    while time.monotonic() < end:
        load.probe()
    load.report(check, '%d unread polls with an action of 1 MB' % count, set(), 300)
    for connection in held:
        connection.close()


def slow_readers(target: Target, check: Check, short: bool) -> None:
    """Clients of two projects that read their large answers a few bytes at a time do not keep the memory for answers."""
    target.start({'api': {'answer_timeout': '3', 'min_answer_rate': '1000000', 'max_answer_bytes': str(64 * MIB)}})
    for project in ('p', 'other', 'third'):
        for number in range(60):
            target.ask('POST', 'backups', backup('big%d' % number, text='x' * 100_000), project=project)
    held = [reader(target, '/v2/%s/backups?limit=60' % project) for project in ('p', 'other') for _ in range(8)]
    stop = threading.Event()

    def read() -> None:
        while not stop.wait(0.2):
            for connection in held:
                connection.setblocking(False)
                try:
                    connection.recv(10)
                except OSError:
                    pass

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    time.sleep(3)
    begun = time.monotonic()
    status, page = target.ask('GET', 'backups?limit=60', timeout=120, project='third')
    took = time.monotonic() - begun
    check('another project gets a large page', status == 200 and len(page['backups']) == 60, '%d in %.1f s' % (status, took))
    # the 40 s in which all of them get their turn
    end = time.monotonic() + 40
    while (status := target.ask('GET', 'backups?limit=60', timeout=120)[0]) != 200 and time.monotonic() < end:
        time.sleep(1)
    check('their own project is served again', status == 200, status)
    stop.set()
    thread.join(5)
    for connection in held:
        connection.close()


LOADS = [
    Attack('large polls', large_polls, short=True),
    Attack('jobs of former releases', jobs_of_former_releases, short=True),
    Attack('large posts', large_posts, short=True),
    Attack('locked row', locked_row, short=True),
    Attack('unread polls', unread_polls, short=True),
    Attack('slow readers', slow_readers, short=True),
]
