"""The attacks. Each uses only requests that one caller could send, and checks their cost for the service, the database and
other callers.

Bounds are those of docs/operations.md. A check that cannot hold on a slow machine has a wider bound in the short form.
"""

import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keystone import Keystone
from target import MIB, Target, backup, head, more_files, seed_backups, status_of

Check = Callable[[str, bool, object], None]
HERE = Path(__file__).parent


class Skipped(Exception):
    """An attack that this machine does not allow; the text says why, and what to change."""


@dataclass(frozen=True)
class Attack:
    """One attack; `short`: also part of the short form."""

    name: str
    run: Callable[[Target, Check, bool], None]
    short: bool = False


def many_conditions(target: Target, check: Check, short: bool) -> None:
    """Searches with many conditions: over the limit they are refused, and those within it cost the database little."""
    target.start()
    for number in range(20):
        target.ask('POST', 'backups', backup('b%d' % number))

    def search(count: int, key: str = 'k', start: int = 0) -> int:
        pairs = [{'%s%d' % (key, number): start + number} for number in range(count)]
        return target.ask('GET', 'backups', {'match_not': pairs})[0]

    check('50 conditions are a search', search(50) == 200, search(50))
    for count in (51, 400, 1_000, 7_500):
        status = search(count)
        # the last is larger than a body may be
        check('%d conditions are refused' % count, status == 400 or count > 1_000 and status == 413, status)
    for kind, pair in (('jobs', {'freezer_action': 'x'}), ('jobs', {'_all': 'text'}), ('sessions', {'status': 'x'})):
        status = target.ask('GET', kind, {'match': [dict(pair)] * 60})[0]
        check('60 conditions on %s, %s' % (kind, next(iter(pair))), status == 400, status)
    before = target.database_memory()
    for number in range(40 if short else 300):
        # another shape each time
        search(10 + number % 41, 'key_%d_' % number, number)
        target.ask('GET', 'jobs', {'match': [{'key_%d_%d' % (number, pair): 'v'} for pair in range(10 + number % 41)]})
    grown = (target.database_memory() - before) / MIB
    check('searches of many shapes leave less than 100 MiB in the database', grown < 100, '%.0f MiB' % grown)
    check('both still run', target.alive(), '')


def one_byte_frames(target: Target, check: Check, short: bool) -> None:
    """A body of 64 KiB in chunks of one byte costs about as much memory as one in one piece."""
    target.start()
    body = json.dumps(backup('frames', text='x' * 65_000)).encode()
    target.ask('POST', 'backups', body)
    before = target.service_memory()
    count = 2 if short else 4
    connections = [target.connect() for _ in range(count)]
    for connection in connections:
        connection.sendall(head('/v2/p/backups', Transfer_Encoding='chunked'))
    frames = [b'1\r\n%c\r\n' % byte for byte in body]
    # all but the last byte, so that the service must keep the body in memory
    for start in range(0, len(frames) - 1, 4096):
        for connection in connections:
            connection.sendall(b''.join(frames[start:min(start + 4096, len(frames) - 1)]))
    time.sleep(0.5)
    grown = (target.service_memory() - before) / MIB
    check('%d bodies of 64 KiB in one-byte frames cost less than 16 MiB' % count, grown < 16, '%.0f MiB' % grown)
    for connection in connections:
        connection.sendall(frames[-1] + b'0\r\n\r\n')
        status = status_of(connection, 20)
        check('such a body is taken', status == 201, status)
        connection.close()


def growing_documents(target: Target, check: Check, short: bool) -> None:
    """Documents that grow by PATCH end at their maximum with 413, and can be read and changed all the time."""
    # so that it is the maximum of documents that is reached
    target.start({'oslo_middleware': {'max_request_body_size': str(8 * MIB)}})
    part = 'x' * 250_000
    backup_id = target.ask('POST', 'backups', backup('grows'))[1]['backup_id']
    target.ask('POST', 'clients', {'client_id': 'n', 'hostname': 'n'})
    job = {'client_id': 'n', 'job_actions': [{'freezer_action': {'action': 'exec', 'command': 'c'}}]}
    job_id = target.ask('POST', 'jobs', job)[1]['job_id']
    session_id = target.ask('POST', 'sessions', {'schedule': {}, 'description': 's'})[1]['session_id']
    action_id = target.ask('POST', 'actions', {'freezer_action': {'action': 'exec', 'command': 'c'}})[1]['action_id']
    for path, patch in (
            ('backups/' + backup_id, lambda number: {'key%d' % number: part}),
            ('sessions/' + session_id, lambda number: {'jobs': {'j%d' % number: {'text': part}}}),
            ('actions/' + action_id, lambda number: {'freezer_action': {'action': 'exec', 'key%d' % number: part}}),
            ('jobs/' + job_id, lambda number: {'job_actions': [
                {'freezer_action': {'action': 'exec', 'command': 'c', 'text': part}}] * (number + 1)})):
        statuses = []
        for number in range(8):
            statuses.append(target.ask('PATCH', path, patch(number))[0])
            if statuses[-1] == 413:
                break
        check('%s stops growing with 413' % path.split('/')[0], statuses[-1] == 413 and set(statuses[:-1]) <= {200},
              statuses)
        status, document = target.ask('GET', path)
        size = len(json.dumps(document))
        check('%s can still be read, and is below 1.3 MiB' % path.split('/')[0], status == 200 and size < 1.3 * MIB,
              (status, size))
    status = target.ask('POST', 'backups', backup('huge', text='x' * (2 * MIB)))[0]
    check('a document over the maximum is 413', status == 413, status)


def slow_bodies(target: Target, check: Check, short: bool) -> None:
    """More unfinished bodies from one address than there are places: others are served all the time, and so is the health
    check. The long form fills the 8,192 places of the default."""
    count, places = (1_500, 777) if short else (8_300, 8_192)
    # of the service: its places, and what it keeps for the database, 64 connections of health checks and the rest
    service_files = 1_024 if short else 9_000
    least = max(count + 200, service_files)
    if more_files() < least:
        raise Skipped('%d unfinished bodies need a limit of %d open files, and the hard limit here is %d: raise it (ulimit '
                      '-Hn, LimitNOFILE=)' % (count, least, more_files()))
    target.start(files=service_files)
    before = target.service_memory()
    held = []
    start = head('/v2/p/backups', Content_Length='1000') + b'{"a":'
    begun = time.monotonic()
    for number in range(count):
        connection = socket.create_connection(('127.0.0.1', target.port), 30)
        connection.setblocking(False)
        connection.send(start)
        held.append(connection)
        if number % 500 == 0:
            status = target.ask('GET', '/healthcheck', source='127.0.0.2', timeout=10)[0]
            check('the health check is answered beside %d' % number, status == 200, status)
    opened = time.monotonic() - begun
    time.sleep(1.5)
    bound = 5.0 if short else 2.0
    for source, who in (('127.0.0.2', 'another address'), ('127.0.0.1', 'the same address')):
        for method, path, body, good in (('GET', '/healthcheck', None, 200), ('GET', '/v2/other/jobs', None, 200),
                                         ('POST', '/v2/other/backups', backup('b'), 201)):
            took, statuses = [], set()
            for number in range(10 if short else 50):
                begun = time.monotonic()
                # another backup each time, because a repeated one is not stored
                sent = body and {**body, 'backup_name': '%s-%d' % (source, number)}
                statuses.add(target.ask(method, path, sent, source=source, timeout=10)[0])
                took.append(time.monotonic() - begun)
            check('with %d unfinished bodies, %s %s from %s is answered within %.0f s' % (count, method, path, who, bound),
                  statuses == {good} and max(took) < bound,
                  '%s, median %.0f ms, longest %.0f ms' % (sorted(statuses), statistics.median(took) * 1000,
                                                           max(took) * 1000))
    open_now = sum(is_open(connection) for connection in held)
    check('the service holds at most its places and 64 more', open_now <= places + 64, '%d of %d open, opened in %.1f s' % (
        open_now, count, opened))
    grown = (target.service_memory() - before) / MIB
    check('they cost less than 256 MiB', grown < 256, '%.0f MiB' % grown)
    for connection in held:
        connection.close()
    check('the service still runs', target.alive(), '')


def is_open(connection: socket.socket) -> bool:
    """Whether the other side has not closed a connection on which it has not answered."""
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def bodies_end(target: Target, check: Check, short: bool) -> None:
    """A body that pauses, or that comes a byte at a time, is given up with 408."""
    target.start({'api': {'body_idle_timeout': '2', 'body_timeout': '5'}})
    silent, slow = target.connect(), target.connect()
    for connection in (silent, slow):
        connection.sendall(head('/v2/p/backups', Content_Length='1000') + b'{')
    end = time.monotonic() + 5.5
    while time.monotonic() < end:
        try:
            slow.send(b' ')
        except OSError:
            break
        time.sleep(0.5)
    for name, connection in (('silent', silent), ('slow', slow)):
        status = status_of(connection, 5)
        check('a %s body is answered with 408' % name, status == 408, status)
        connection.close()


def unread_answers(target: Target, check: Check, short: bool) -> None:
    """Clients that do not read large answers are given up after 30 s, and use a bounded amount of memory."""
    target.start()
    for number in range(200):
        target.ask('POST', 'backups', backup('big%d' % number, text='x' * 100_000))
    status, page = target.ask('GET', 'backups?limit=200')
    check('a client that reads gets a large page', status == 200 and len(json.dumps(page)) > 4 * MIB,
          (status, len(json.dumps(page))))
    before = target.service_memory()
    held = []
    for _ in range(10):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(('127.0.0.1', target.port))
        connection.sendall(head('/v2/p/backups?limit=200', 'GET'))
        held.append(connection)
    time.sleep(5)
    grown = (target.service_memory() - before) / MIB
    check('10 unread answers of 20 MB hold less than 300 MiB', target.alive() and grown < 300, '%.0f MiB' % grown)
    status = target.ask('GET', 'jobs', timeout=10)[0]
    check('others are served meanwhile', status == 200, status)
    time.sleep(32)
    # the service has closed its side, so only the bytes in the socket buffers can still be read
    closed = answered = 0
    for connection in held:
        connection.settimeout(5)
        received = b''
        try:
            while part := connection.recv(1 << 20):
                received += part
        except OSError:
            pass
        answered += received.startswith(b'HTTP/1.1 200')
        closed += len(received) < 4 * MIB
        connection.close()
    check('after 30 s without progress they are closed', closed == len(held), '%d of %d' % (closed, len(held)))
    check('their answers had begun', answered == len(held), '%d of %d' % (answered, len(held)))


def many_unread_answers(target: Target, check: Check, short: bool) -> None:
    """Many clients of one project that read nothing take at most their part of the memory for large answers."""
    target.start()
    for number in range(300):
        target.ask('POST', 'backups', backup('big%d' % number, text='x' * 100_000))
    before = target.service_memory()
    held, peak = [], 0.0
    for _ in range(20 if short else 100):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(('127.0.0.1', target.port))
        connection.sendall(head('/v2/p/backups?limit=1000', 'GET'))
        held.append(connection)
    end = time.monotonic() + (10 if short else 25)
    slowest, failed = 0.0, 0
    while time.monotonic() < end:
        begun = time.monotonic()
        failed += target.ask('GET', 'jobs', timeout=30, project='quiet')[0] != 200
        slowest = max(slowest, time.monotonic() - begun)
        peak = max(peak, (target.service_memory() - before) / MIB)
        time.sleep(0.25)
    # half of max_answer_bytes, and the rows of the pages that are being read
    check('%d unread answers of 30 MB hold less than 256 MiB' % len(held), target.alive() and peak < 256,
          '%.0f MiB' % peak)
    check('another project is served without a failure', failed == 0, failed)
    check('another project does not wait for them', slowest < 5, '%.2f s' % slowest)
    for connection in held:
        connection.close()
    status = target.ask('GET', 'backups?limit=100', timeout=60)[0]
    check('the project is served again', status == 200, status)


def unknown_tokens(target: Target, check: Check, short: bool) -> None:
    """A storm of unknown tokens leaves room for the validation of others, and impossible ones cost no call."""
    keystone = Keystone(delay=0.3)
    try:
        target.start({'DEFAULT': {'auth_strategy': 'keystone'}, 'keystone_authtoken': {
            'auth_type': 'password', 'auth_url': keystone.url, 'www_authenticate_uri': keystone.url, 'username': 'freezer',
            'password': 'x', 'project_name': 'service', 'user_domain_name': 'Default', 'project_domain_name': 'Default'}})
        status = target.ask('GET', 'jobs', headers={'X-Auth-Token': 'known-first'}, project=keystone.project)[0]
        check('a known token is let in', status == 200, status)
        calls = keystone.validations
        for name, token in (('of 17 KiB', 'x' * 17_000), ('with a control character', 'a\x01b'), ('with a space', 'a b')):
            try:
                status = target.ask('GET', 'jobs', headers={'X-Auth-Token': token})[0]
            except ValueError:
                continue  # the client's library refuses to send it
            check('a token %s is refused' % name, status in (400, 401, 431), status)
        check('without a call', keystone.validations == calls, keystone.validations - calls)
        storm = subprocess.Popen([sys.executable, '-B', str(HERE / 'storm.py'), 'tokens', str(target.port), '100',
                                  '6' if short else '20'])
        time.sleep(2)
        took = []
        for number in range(5 if short else 30):
            begun = time.monotonic()
            status = target.ask('GET', 'jobs', headers={'X-Auth-Token': 'known-%d' % number}, timeout=30,
                                project=keystone.project)[0]
            took.append(time.monotonic() - begun if status == 200 else 99.0)
        storm.wait(60)
        bound = 10 if short else 3
        check('during the storm, new tokens of others are validated within %d s' % bound, max(took) < bound,
              'longest %.1f s, median %.1f s' % (max(took), statistics.median(took)))
    finally:
        keystone.stop()


def full_scans(target: Target, check: Check, short: bool) -> None:
    """60 clients of one project read all of its backups for searches that find nothing; another project's GETs stay quick."""
    target.start()
    seed_backups(target, 'noisy', 20_000 if short else 100_000)
    backup_id = target.ask('POST', 'backups', backup('quiet'), project='quiet')[1]['backup_id']
    storm = subprocess.Popen([sys.executable, '-B', str(HERE / 'storm.py'), 'scans', str(target.port), '60',
                              '9' if short else '40'])
    time.sleep(3)
    took, failed = [], 0
    end = time.monotonic() + (5 if short else 30)
    while time.monotonic() < end:
        begun = time.monotonic()
        status = target.ask('GET', 'backups/' + backup_id, timeout=30, project='quiet')[0]
        took.append(time.monotonic() - begun)
        failed += status != 200
        time.sleep(0.02)
    storm.wait(120)
    p99 = sorted(took)[int(len(took) * 0.99)] * 1000
    # The short form runs on busy machines with a debug build. Without the bound of scans, a GET takes 10 s there.
    bound = 1000 if short else 50
    check('p99 of GET in another project is at most %d ms' % bound, p99 <= bound,
          '%.0f ms (median %.1f ms, %d requests)' % (p99, statistics.median(took) * 1000, len(took)))
    check('none of them fails', failed == 0, failed)
    check('both still run', target.alive(), '')


def reserved_keys(target: Target, check: Check, short: bool) -> None:
    """Keys that serde_json keeps for itself are refused, however they are written and wherever they stand."""
    target.start()
    bad = []
    for key in ('$serde_json::private::Number', '$serde_json::private::RawValue', '\\u0024serde_json::private::Number',
                '\\u0024\\u0073erde_json::private::RawValue'):
        for value in ('"1"', '"{"', '"x"', '1', 'null', '{"a": 1}', '"[1,2"'):
            for place in ('{"backup_name": "b", "container": "c", "hostname": "h", "time_stamp": 1, "x": {"%s": %s}}',
                          '{"backup_name": "b", "container": "c", "hostname": "h", "time_stamp": 1, "x": [[{"%s": %s}]]}',
                          '{"backup_name": "b", "container": "c", "hostname": "h", "time_stamp": 1, "%s": %s}'):
                status = target.ask('POST', 'backups', (place % (key, value)).encode())[0]
                if status != 400:
                    bad.append((status, key, value))
            status = target.ask('GET', 'backups', ('{"match": [{"a": {"%s": %s}}]}' % (key, value)).encode())[0]
            if status != 400:
                bad.append((status, 'search', key, value))
    check('reserved keys are 400', not bad, bad[:5])
    for kind in ('backups', 'jobs', 'sessions', 'actions', 'clients'):
        status = target.ask('GET', kind)[0]
        check('%s can be listed' % kind, status == 200, status)


def deep_nesting(target: Target, check: Check, short: bool) -> None:
    """Deep documents are taken or refused in words, never a 500 or a lost connection. Stored documents can be read."""
    target.start()
    bad = []
    for depth in (30, 64, 100, 120, 126, 127, 128, 129, 200, 1_000, 100_000):
        for opening, closing in (('[', ']'), ('{"a":', '}')):
            value = opening * depth + '1' + closing * depth
            document = '{"backup_name": "b", "container": "c", "hostname": "h", "time_stamp": 1, "x": %s}' % value
            requests = [('POST', 'backups', document), ('GET', 'backups', '{"match": [{"x": %s}]}' % value),
                        ('POST', 'actions', '{"freezer_action": {"action": "exec", "x": %s}}' % value),
                        ('POST', 'sessions', '{"schedule": {}, "description": "d", "x": %s}' % value)]
            for method, path, body in requests:
                status, answer = target.ask(method, path, body.encode())
                if status not in (200, 201, 400, 413) or depth > 200 and status in (200, 201) and method == 'POST' and \
                        path != 'sessions':
                    bad.append((depth, method, path, status, str(answer)[:80]))
                if status == 201 and path == 'backups':
                    shown = target.ask('GET', 'backups/' + answer['backup_id'])[0]
                    patched = target.ask('PATCH', 'backups/' + answer['backup_id'], {'y': 1})[0]
                    if (shown, patched) != (200, 200):
                        bad.append((depth, 'stored, then', shown, patched))
    check('each is taken or refused in words', not bad, bad[:5])
    for kind in ('backups', 'actions', 'sessions'):
        status = target.ask('GET', kind + '?limit=500')[0]
        check('%s can be listed' % kind, status == 200, status)
    check('the service still runs', target.alive(), '')


ATTACKS = [
    Attack('many conditions', many_conditions, short=True),
    Attack('one-byte frames', one_byte_frames, short=True),
    Attack('growing documents', growing_documents, short=True),
    Attack('slow bodies', slow_bodies, short=True),
    Attack('bodies end', bodies_end, short=True),
    Attack('unread answers', unread_answers),
    Attack('many unread answers', many_unread_answers, short=True),
    Attack('unknown tokens', unknown_tokens, short=True),
    Attack('full scans', full_scans, short=True),
    Attack('reserved keys', reserved_keys, short=True),
    Attack('deep nesting', deep_nesting, short=True),
]
