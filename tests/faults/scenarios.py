"""The faults. Each is injected while the load runs, and ends with all servers as they were before."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pymysql

from client import Client
from places import Balanced, Behind, Clocked, Direct, Listed, Place, Replaced, Single, SmallServer, Sqlite

Fault = Callable[[Any, bool], None]


@dataclass(frozen=True)
class Scenario:
    """One fault at one kind of place. `failed` and `longest` are goals: POSTs that may fail, and seconds of any request."""

    name: str
    place: type[Place]
    run: Fault
    failed: int | None = 0
    longest: float = 35
    short: bool = False
    # connections of clients are kept open between requests
    keep: bool = True


def nothing(place: Place, short: bool) -> None:
    """No fault, for comparison."""
    time.sleep(3 if short else 10)


# a node of Galera

def node_killed(place: Direct, short: bool) -> None:
    """SIGKILL to each node in turn, which then rejoins."""
    for node in place.galera.nodes[:1 if short else 3]:
        node.kill()
        time.sleep(2 if short else 5)
        node.rejoin()
        time.sleep(1 if short else 3)


def node_paused(place: Direct, short: bool) -> None:
    """A node hangs: its connections stay open, nothing answers, and the others expel it."""
    node = place.galera.nodes[1]
    assert node.process
    node.process.pause()
    time.sleep(6 if short else 15)
    node.process.resume()
    place.heal()


def node_isolated(place: Direct, short: bool) -> None:
    """A node is cut off from the others and refuses statements with error 1047."""
    node = place.galera.nodes[2]
    node.isolate(True)
    time.sleep(5 if short else 15)
    node.isolate(False)
    place.heal()


def all_killed(place: Direct, short: bool) -> None:
    """Every node is killed at once; the cluster is started anew from the node that has most."""
    for node in place.galera.nodes:
        node.kill()
    place.galera.restart_all()


def switched(place: Balanced, short: bool) -> None:
    """The balancer takes one node after the other out, with its connections, and back."""
    for _ in range(1 if short else 4):
        for number in (1, 2, 3):
            place.balancer.tell('disable server nodes/node%d' % number, 'shutdown sessions server nodes/node%d' % number)
            time.sleep(1)
            place.balancer.tell('enable server nodes/node%d' % number)
            time.sleep(1)


# a single server

def server_killed(place: Single, short: bool) -> None:
    """SIGKILL, and a start three seconds later."""
    for _ in range(1 if short else 2):
        place.server.kill()
        time.sleep(1 if short else 3)
        place.server.start()
        time.sleep(1 if short else 3)


def server_stopped(place: Single, short: bool) -> None:
    """SIGTERM and a start, again and again: statements end with errors of the shutdown."""
    for _ in range(2 if short else 10):
        place.server.stop()
        place.server.start()
        time.sleep(1)


def connections_killed(place: Single, short: bool) -> None:
    """KILL of every connection of the service, again and again."""
    repeat(place, 3 if short else 10, 0.3, 'KILL %d')


def statements_killed(place: Single, short: bool) -> None:
    """KILL QUERY for every connection, again and again."""
    repeat(place, 3 if short else 10, 0.05, 'KILL QUERY %d')


def repeat(place: Single, seconds: float, pause: float, statement: str) -> None:
    """Runs a statement for every connection of the service, for some time."""
    end = time.monotonic() + seconds
    with place.server.connect() as connection, connection.cursor() as cursor:
        while time.monotonic() < end:
            for thread in place.server.threads():
                try:
                    cursor.execute(statement % thread)
                except pymysql.MySQLError:
                    pass  # it is gone
            time.sleep(pause)


def too_many_connections(place: Single, short: bool) -> None:
    """Others take all connections of the server, which refuses new ones with error 1040."""
    held: list[pymysql.Connection] = []
    # one connection beyond the maximum is kept for administrators
    with place.server.connect(30) as connection, connection.cursor() as cursor:
        cursor.execute('SET GLOBAL max_connections = 10')
        end = time.monotonic() + (4 if short else 10)
        while time.monotonic() < end:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'freezer'")
            own = {other.thread_id() for other in held}
            for thread in [row[0] for row in cursor.fetchall() if row[0] not in own]:
                try:
                    cursor.execute('KILL %d' % thread)
                except pymysql.MySQLError:
                    pass  # it is gone
            try:
                while len(held) < 10:
                    held.append(pymysql.connect(host='127.0.0.1', port=place.server.port, user='freezer',
                                                password='freezer', connect_timeout=2))
            except pymysql.MySQLError:
                pass
            time.sleep(0.2)
        cursor.execute('SET GLOBAL max_connections = 500')
    for other in held:
        other.close()


def read_locked(place: Single, short: bool) -> None:
    """FLUSH TABLES WITH READ LOCK, as a backup of the database does it: nothing can be written."""
    with place.server.connect(120) as connection, connection.cursor() as cursor:
        cursor.execute('FLUSH TABLES WITH READ LOCK')
        time.sleep(5 if short else 40)
        cursor.execute('UNLOCK TABLES')


def row_locked(place: Single, short: bool) -> None:
    """An administrator's open transaction holds every row of jobs and sessions."""
    with place.server.connect(120) as connection, connection.cursor() as cursor:
        cursor.execute('BEGIN')
        for table in ('jobs', 'sessions'):
            cursor.execute('SELECT COUNT(*) FROM (SELECT id FROM freezer.%s FOR UPDATE) AS locked' % table)
        time.sleep(5 if short else 40)
        cursor.execute('ROLLBACK')


# the network to a single server

def black_hole(place: Behind, short: bool) -> None:
    """Packets are dropped: connections stay open, and nothing comes."""
    place.tell('blackhole')
    time.sleep(5 if short else 90)
    place.tell('pass')


def one_silent(place: Behind, short: bool) -> None:
    """One of the open connections goes silent, again and again."""
    for _ in range(1 if short else 3):
        place.tell('silence', 1)
        time.sleep(4 if short else 20)
    place.tell('pass')


def answers_lost(place: Behind, short: bool) -> None:
    """The server carries out a change, and its answer is lost with the connection."""
    place.tell('lose', 20, 'INSERT', 'UPDATE', 'DELETE', 'COMMIT')
    time.sleep(4 if short else 20)
    place.tell('pass')


def resets(place: Behind, short: bool) -> None:
    """Every connection is reset, again and again."""
    for _ in range(4 if short else 20):
        place.tell('reset')
        time.sleep(0.5)


# the service

def service_killed(place: Place, short: bool) -> None:
    """SIGKILL to one process after the other; a new one takes its port."""
    for number in range(2 if short else 6):
        service = place.services[number % len(place.services)]
        service.kill()
        service.start()
        time.sleep(1)


def service_stopped(place: Place, short: bool) -> None:
    """SIGTERM to one process after the other in the middle of the load; a new one takes its port."""
    for number in range(4 if short else 15):
        service = place.services[number % len(place.services)]
        service.stop()
        service.start()
        time.sleep(0.5)


def service_replaced(place: Replaced, short: bool) -> None:
    """A successor listens on the same port, and then the old process is stopped."""
    for number in range(4 if short else 15):
        at = number % len(place.services)
        old, new = place.services[at], place.service(at)
        new.port, new.log = old.port, new.log.with_suffix('.%d.log' % number)
        new.launch()
        # the old one answers on the same port, so the new one is asked for by its log
        deadline = time.monotonic() + 30
        while b'listen' not in new.log.read_bytes().lower():
            if time.monotonic() > deadline:
                raise RuntimeError('the successor does not listen: %s' % new.log.read_text())
            time.sleep(0.05)
        time.sleep(0.3)
        # clients ask by address: the list has both for a moment
        place.services[at] = new
        old.stop()


# clocks

def clock_jumps(place: Clocked, short: bool) -> None:
    """The clock of one process jumps ahead by a day, back, and behind by a minute."""
    client = Client(place.services, 'clocks', 0)
    made = client.call('POST', 'clients', {'client_id': 'n', 'hostname': 'n'})
    action = {'freezer_action': {'action': 'exec', 'command': 'c'}}
    job = client.call('POST', 'jobs', {'client_id': 'n', 'job_actions': [action]}).body['job_id']
    session = client.call('POST', 'sessions', {'schedule': {}, 'hold_off': 2}).body['session_id']
    client.call('PUT', 'sessions/%s/jobs/%s' % (session, job))

    def start(tag: int) -> Any:
        body = {'start': {'job_id': job, 'current_tag': tag}}
        return client.call('POST', 'sessions/%s/action' % session, body).body

    assert made.status == 201
    place.set_clock(86_400)
    time.sleep(1)
    ahead = start(0)
    time.sleep(1 if short else 4)
    place.set_clock(0)
    # the hold-off of two seconds, as long as it may take
    time.sleep(4)
    again = start(1)
    if (ahead, again) != ({'result': 'success', 'session_tag': 1}, {'result': 'success', 'session_tag': 2}):
        place.found.append('a session that was started while the clock was a day ahead: %s, and 4 s later with a hold-off of '
                           '2 s: %s' % (ahead, again))
    place.set_clock(-60)
    time.sleep(1 if short else 4)
    place.set_clock(0)
    client.close()


# SQLite

def disk_full(place: Sqlite | SmallServer, short: bool) -> None:
    """The file system has no space left, until a file is removed."""
    assert place.disk
    place.disk.fill(3 if short else 8)
    if isinstance(place, SmallServer) and place.server.process and place.server.process.ended():
        # InnoDB ends if it cannot extend its own files
        place.server.start()


def write_locked(place: Sqlite, short: bool) -> None:
    """Another program has a write transaction open."""
    with sqlite3.connect(place.file, isolation_level=None, timeout=30) as connection:
        connection.execute('BEGIN IMMEDIATE')
        time.sleep(3 if short else 15)
        connection.execute('ROLLBACK')


SCENARIOS = [
    Scenario('no fault', Direct, nothing),
    Scenario('node killed', Direct, node_killed, short=True),
    Scenario('node paused', Direct, node_paused),
    Scenario('node isolated', Direct, node_isolated, short=True),
    Scenario('all nodes killed', Direct, all_killed),
    Scenario('node killed', Listed, node_killed, longest=15),
    Scenario('node paused', Listed, node_paused, longest=15),
    Scenario('node isolated', Listed, node_isolated, longest=15),
    Scenario('no fault', Balanced, nothing),
    Scenario('node killed', Balanced, node_killed, longest=15),
    Scenario('node paused', Balanced, node_paused, longest=15),
    Scenario('node isolated', Balanced, node_isolated, longest=15),
    Scenario('balancer switched', Balanced, switched, longest=15, short=True),
    Scenario('all nodes killed', Balanced, all_killed),
    Scenario('no fault', Single, nothing),
    Scenario('server killed', Single, server_killed, short=True),
    Scenario('server stopped', Single, server_stopped),
    Scenario('connections killed', Single, connections_killed),
    Scenario('statements killed', Single, statements_killed, short=True),
    Scenario('too many connections', Single, too_many_connections),
    Scenario('read lock', Single, read_locked, failed=None),
    Scenario('row locks', Single, row_locked, failed=None),
    # a request that the killed process had is lost with it
    Scenario('service killed', Single, service_killed, failed=None),
    Scenario('service stopped', Single, service_stopped, short=True, keep=False),
    # a request may meet the closing of its idle connection
    Scenario('service stopped, kept connections', Single, service_stopped, failed=2),
    Scenario('service replaced', Replaced, service_replaced, keep=False),
    Scenario('service replaced, kept connections', Replaced, service_replaced, failed=2),
    Scenario('clock jumps', Clocked, clock_jumps),
    Scenario('packets dropped', Behind, black_hole, failed=None),
    Scenario('one connection silent', Behind, one_silent, longest=12, short=True),
    Scenario('answers lost', Behind, answers_lost, short=True),
    Scenario('connections reset', Behind, resets),
    Scenario('disk full', SmallServer, disk_full, failed=None),
    Scenario('no fault', Sqlite, nothing),
    Scenario('disk full', Sqlite, disk_full, failed=None, short=True),
    Scenario('write lock', Sqlite, write_locked, short=True),
    Scenario('service killed', Sqlite, service_killed, failed=None),
    Scenario('service stopped', Sqlite, service_stopped, keep=False),
]
