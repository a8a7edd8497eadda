"""Where scenarios take place: a database with its servers, and processes of the service on it."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from client import Client
from checker import KINDS, Stored
from harness.galera import Balancer, Galera
from harness.mariadb import MariaDb, make_template
from harness.processes import free_port, quiet_environment
from harness.service import Options, Service
from load import mark_of, session_view

HERE = Path(__file__).parent


class Place:
    """The service on one database; `start` and `stop` frame any number of scenarios."""

    name = ''
    processes = 2

    def __init__(self, directory: Path, programs: Path) -> None:
        self.directory, self.programs = directory, programs
        self.services: list[Service] = []
        # broken promises that a scenario has found by itself
        self.found: list[str] = []
        directory.mkdir(parents=True, exist_ok=True)

    def database(self, number: int) -> str:
        """The URL that a process is given."""
        raise NotImplementedError

    def start_servers(self) -> None:
        """Starts the servers behind the service."""

    def stop_servers(self) -> None:
        """Ends it."""

    def options(self) -> Options:
        """Options of the service beyond those that it needs."""
        return {}

    def start(self) -> None:
        """Starts everything."""
        self.start_servers()
        for number in range(self.processes):
            self.services.append(self.service(number))
        self.services[0].sync()
        for service in self.services:
            service.start()

    def service(self, number: int) -> Service:
        """One process that is not started yet."""
        return Service(self.programs, self.directory, 'service-%d' % (number + 1), self.database(number), self.options(),
                       environment=self.environment(number))

    def environment(self, number: int) -> dict[str, str]:
        """More variables of a process."""
        return {}

    def stop(self) -> None:
        """Ends everything."""
        for service in self.services:
            if service.process:
                service.process.stop(5)
        self.stop_servers()

    def heal(self) -> None:
        """Waits until every server can be used; after it, every process must serve again by itself."""

    def stored(self, project: str, seconds: float = 60) -> list[Stored]:
        """Returns the stored state as each process shows it; fails if a process does not serve again in time."""
        deadline = time.monotonic() + seconds
        return [read_all(Client([service], project, 0), deadline) for service in self.services]

    def logs(self) -> str:
        """The ends of the logs, for a scenario that failed."""
        return '\n'.join('%s: %s' % (service.name, service.log.read_text(errors='replace')[-1500:])
                         for service in self.services if service.log.exists())


def read_all(client: Client, deadline: float) -> Stored:
    """Everything that a process shows of a project."""
    documents: dict[str, dict[str, dict[str, Any]]] = {}
    for kind in (*KINDS, 'clients'):
        # clients are found by their row's id
        key = 'uuid' if kind == 'clients' else kind[:-1] + '_id'
        documents[kind] = {document_id(kind, document, key): document for document in pages(client, kind, key, deadline)}
    client.close()
    marks = {kind: {key: mark_of(kind, document) for key, document in documents[kind].items()} for kind in KINDS}
    return Stored(documents, marks, [document['client']['client_id'] for document in documents['clients'].values()],
                  {key: session_view(document) for key, document in documents['sessions'].items()})


def document_id(kind: str, document: dict[str, Any], key: str) -> str:
    """The id of a document of a list."""
    return str(document['client'][key] if kind == 'clients' else document[key])


def pages(client: Client, kind: str, key: str, deadline: float) -> list[dict[str, Any]]:
    """A whole list, by markers."""
    found: list[dict[str, Any]] = []
    while True:
        marker = document_id(kind, found[-1], key) if found else ''
        answer = client.call('GET', '%s?limit=500&marker=%s' % (kind, marker))
        if answer.status != 200:
            if time.monotonic() > deadline:
                raise RuntimeError('it does not serve again: %s %s %s' % (answer.status, answer.body, answer.error))
            time.sleep(0.2)
            continue
        page = answer.body[kind]
        found += page
        if kind + '_links' not in answer.body:
            return found


class SmallDisk:
    """A file system of a few megabytes, if one can be mounted."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.mounted = os.getuid() == 0 and subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', 'size=%dm' % megabytes, 'tmpfs', str(path)],
            capture_output=True).returncode == 0

    def close(self) -> None:
        """Takes it away."""
        if self.mounted:
            subprocess.run(['umount', '--lazy', str(self.path)], capture_output=True)
            self.mounted = False

    def fill(self, seconds: float) -> None:
        """Leaves no space on it for some time."""
        filler = self.path / 'filler'
        with filler.open('wb', buffering=0) as file:
            end = time.monotonic() + seconds
            size = 1 << 20
            while time.monotonic() < end:
                # also takes space that is freed meanwhile
                try:
                    file.write(b'\0' * size)
                except OSError:
                    if size > 4096:
                        size //= 2
                    else:
                        time.sleep(0.05)
        filler.unlink()


class Sqlite(Place):
    """Two processes on one file, on a small file system if one can be mounted."""

    name = 'SQLite'
    disk: SmallDisk | None = None

    def start_servers(self) -> None:
        self.disk = SmallDisk(self.directory / 'disk', 24)

    def database(self, number: int) -> str:
        return 'sqlite:///%s' % self.file

    def stop_servers(self) -> None:
        if self.disk:
            self.disk.close()

    @property
    def file(self) -> Path:
        """The database."""
        return self.directory / 'disk' / 'freezer.db'


class Single(Place):
    """One MariaDB."""

    name = 'MariaDB'

    def start_servers(self) -> None:
        self.server = MariaDb(self.directory / 'server', make_template(self.directory.parent))
        self.server.start()

    def database(self, number: int) -> str:
        return self.server.url()

    def stop_servers(self) -> None:
        if hasattr(self, 'server') and self.server.process:
            self.server.process.resume()
            self.server.process.kill()

    def heal(self) -> None:
        self.server.wait_ready(60)


class SmallServer(Single):
    """One MariaDB whose data directory is on a small file system."""

    name = 'MariaDB, small disk'
    disk: SmallDisk | None = None

    def start_servers(self) -> None:
        self.disk = SmallDisk(self.directory / 'disk', 256)
        self.server = MariaDb(self.directory / 'server', make_template(self.directory.parent),
                              data=self.disk.path / 'data')
        self.server.start()

    def stop_servers(self) -> None:
        super().stop_servers()
        if self.disk:
            self.disk.close()


class Clocked(Single):
    """One MariaDB, and a process whose clock can be set."""

    name = 'MariaDB, clocks'

    def environment(self, number: int) -> dict[str, str]:
        library = faketime()
        assert library
        if number:
            return {}
        self.clock = self.directory / 'clock'
        self.set_clock(0)
        # timers must not jump
        return {'LD_PRELOAD': library, 'FAKETIME_TIMESTAMP_FILE': str(self.clock), 'FAKETIME_NO_CACHE': '1',
                'FAKETIME_DONT_FAKE_MONOTONIC': '1', 'DONT_FAKE_MONOTONIC': '1'}

    def set_clock(self, seconds: int) -> None:
        """Sets the first process's clock ahead of, or behind, the others."""
        part = self.clock.with_suffix('.part')
        part.write_text('%+d\n' % seconds)
        part.replace(self.clock)

    def heal(self) -> None:
        self.set_clock(0)
        super().heal()


def faketime() -> str | None:
    """The library that sets clocks; None if the package faketime is not installed."""
    found = sorted(Path('/usr/lib').glob('*/faketime/libfaketimeMT.so.1'))
    return str(found[0]) if found else None


class Replaced(Single):
    """One MariaDB, and processes that share their ports with their successors."""

    name = 'MariaDB, shared ports'

    def options(self) -> Options:
        return {'DEFAULT': {'reuse_port': 'true'}}


class Behind(Single):
    """One MariaDB behind a proxy that can break the network."""

    name = 'MariaDB, bad network'

    def start_servers(self) -> None:
        super().start_servers()
        self.port = free_port()
        env = quiet_environment()
        self.proxy = subprocess.Popen(
            [sys.executable, '-B', str(HERE / 'proxy.py'), str(self.port), str(self.server.port)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, start_new_session=True, bufsize=1)
        assert self.proxy.stdout
        if self.proxy.stdout.readline().strip() != 'ready':
            raise RuntimeError('the proxy does not start')

    def database(self, number: int) -> str:
        # the proxy reads statements, which TLS would hide
        return self.server.url(self.port, '&ssl_disabled=true')

    def tell(self, *words: object) -> list[int]:
        """A command to the proxy; returns its numbers of connections and of lost answers."""
        assert self.proxy.stdin and self.proxy.stdout
        self.proxy.stdin.write(' '.join(map(str, words)) + '\n')
        return [int(number) for number in self.proxy.stdout.readline().split()]

    def heal(self) -> None:
        self.tell('pass')
        super().heal()

    def stop_servers(self) -> None:
        if hasattr(self, 'proxy'):
            self.proxy.kill()
            self.proxy.wait(10)
        super().stop_servers()


class Direct(Place):
    """Three nodes of Galera, and three processes that are each bound to one node."""

    name = 'Galera, direct'
    processes = 3

    def start_servers(self) -> None:
        self.galera = Galera(self.directory, make_template(self.directory.parent))
        self.galera.start()

    def database(self, number: int) -> str:
        return self.galera.nodes[number].url()

    def heal(self) -> None:
        self.galera.wait_ready(90)

    def stop_servers(self) -> None:
        if hasattr(self, 'galera'):
            self.galera.stop()


class Listed(Direct):
    """The same, but the URL of each process also names the other nodes."""

    name = 'Galera, listed'

    def database(self, number: int) -> str:
        nodes = self.galera.nodes[number:] + self.galera.nodes[:number]
        own = '127.0.0.1:%d' % nodes[0].port
        return nodes[0].url().replace(own, ','.join('127.0.0.1:%d' % node.port for node in nodes))


class Balanced(Direct):
    """The same behind HAProxy, which only checks that ports accept connections."""

    name = 'Galera, balanced'
    processes = 2

    def start_servers(self) -> None:
        super().start_servers()
        self.balancer = Balancer(self.directory / 'haproxy', [node.port for node in self.galera.nodes])
        self.balancer.start()

    def database(self, number: int) -> str:
        return self.galera.nodes[0].url(self.balancer.port)

    def stop_servers(self) -> None:
        if hasattr(self, 'balancer'):
            self.balancer.stop()
        super().stop_servers()
