"""The service that is attacked: one process on a MariaDB of its own, both with a limit of memory, and requests to it."""

import http.client
import json
import resource
import socket
from pathlib import Path
from typing import Any

from harness.mariadb import MariaDb, make_template
from harness.processes import memory
from harness.service import Options, Service

MIB = 1 << 20
# Writable memory that each may have: an attack that costs more ends the process, which fails the check. It is more than the
# checks allow, because an allocator keeps address space that it does not use. `prlimit --data` counts this space, and the
# checks measure resident memory.
SERVICE_LIMIT, DATABASE_LIMIT = 2048 * MIB, 2048 * MIB


class Limited(MariaDb):
    """MariaDB with a limit of memory."""

    def command(self, *more: str) -> list[str]:
        # not the address space, of which InnoDB reserves a lot and uses little
        return ['prlimit', '--data=%d' % DATABASE_LIMIT, *super().command(*more)]


class Target:
    """Starts and ends the service and its database."""

    def __init__(self, work: Path, programs: Path) -> None:
        self.work, self.programs = work, programs
        self.server = Limited(work / 'server', make_template(work))
        self.count = 0
        self.service: Service | None = None

    def start(self, options: Options | None = None, files: int | None = None) -> None:
        """Starts the service anew; `files` limits its descriptors."""
        if not self.server.process:
            self.server.start()
        self.stop_service()
        self.count += 1
        prefix = ['prlimit', '--data=%d' % SERVICE_LIMIT]
        if files:
            prefix.append('--nofile=%d:%d' % (files, files))
        self.service = Service(self.programs, self.work, 'service-%d' % self.count, self.server.url(), options, prefix)
        self.service.sync()
        self.service.start()

    def stop_service(self) -> None:
        """Ends the service."""
        if self.service and self.service.process:
            self.service.process.stop(5)

    def stop(self) -> None:
        """Ends everything."""
        self.stop_service()
        if self.server.process:
            self.server.process.kill()

    @property
    def port(self) -> int:
        """Where the service listens."""
        assert self.service
        return self.service.port

    def alive(self) -> bool:
        """Whether service and database still run."""
        assert self.service and self.service.process and self.server.process
        return not self.service.process.ended() and not self.server.process.ended()

    def service_memory(self) -> int:
        """Resident memory of the service."""
        assert self.service and self.service.process
        return memory(self.service.process.child.pid, 'VmRSS')

    def database_memory(self) -> int:
        """Resident memory of the database."""
        assert self.server.process
        return memory(self.server.process.child.pid, 'VmRSS')

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None,
            source: str = '127.0.0.1', timeout: float = 60, project: str = 'p') -> tuple[int, Any]:
        """One request on a connection of its own; `body` is JSON, or bytes as they are. Status 0: no answer."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=timeout, source_address=(source, 0))
        place = path if path.startswith('/') else '/v2/%s/%s' % (project, path)
        try:
            connection.request(method, place, data, {'Accept': 'application/json', 'Content-Type': 'application/json',
                                                     **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text) if text else None
        except ValueError:
            return answer.status, text.decode(errors='replace')

    def connect(self, source: str = '127.0.0.1', timeout: float = 60) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(('127.0.0.1', self.port), timeout, (source, 0))


def head(path: str, method: str = 'POST', **headers: str) -> bytes:
    """The head of a request."""
    lines = ['%s %s HTTP/1.1' % (method, path), 'Host: 127.0.0.1', 'Accept: application/json',
             'Content-Type: application/json']
    lines += ['%s: %s' % (name.replace('_', '-'), value) for name, value in headers.items()]
    return ('\r\n'.join(lines) + '\r\n\r\n').encode()


def more_files() -> int:
    """Raises this process's limit of descriptors; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(hard, 20_000) if hard != resource.RLIM_INFINITY else 20_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def status_of(connection: socket.socket, seconds: float) -> int:
    """The status of the next answer; 0 if none comes in time, -1 if the connection was closed."""
    connection.settimeout(seconds)
    try:
        line = connection.recv(65536)
    except TimeoutError:
        return 0
    except OSError:
        return -1
    return int(line.split()[1]) if line.startswith(b'HTTP/1.1 ') else -1


def backup(name: str, **more: Any) -> dict[str, Any]:
    """An entry of the catalogue."""
    return {'backup_name': name, 'container': 'c', 'hostname': 'h', 'time_stamp': 1_795_300_000, 'level': 0,
            'curr_backup_level': 0, **more}


def seed_backups(target: Target, project: str, count: int) -> None:
    """Rows of a project, made by the database out of one that the service stored."""
    status, answer = target.ask('POST', 'backups', backup('seed', text='x' * 200), project=project)
    assert status == 201, answer
    columns = [row[0] for row in target.server.ask(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'freezer' AND table_name = 'backups'"
        " AND extra NOT LIKE '%GENERATED%' ORDER BY ordinal_position")]
    others = ', '.join('`%s`' % column for column in columns if column not in ('id', 'fz_identity'))
    done = 1
    while done < count:
        rows = min(done, count - done, 5_000)
        target.server.ask("INSERT INTO freezer.backups (id, %s) SELECT REPLACE(UUID(), '-', ''), %s FROM freezer.backups "
                          "WHERE project_id = '%s' LIMIT %d" % (others, others, project, rows), 120)
        done += rows
