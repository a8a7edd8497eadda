"""A MariaDB server of a test's own: made, started, stopped, killed, and asked as its administrator."""

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pymysql

from .processes import Process, free_port, quiet_environment

USER = PASSWORD = DATABASE = 'freezer'
ADMIN = 'harness'
# the service must not be an administrator: those have a connection more than max_connections and may write on read-only servers
USERS = '''CREATE DATABASE IF NOT EXISTS freezer CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'freezer'@'%' IDENTIFIED BY 'freezer';
GRANT ALL PRIVILEGES ON freezer.* TO 'freezer'@'%';
CREATE USER IF NOT EXISTS 'harness'@'%' IDENTIFIED BY 'harness';
GRANT ALL PRIVILEGES ON *.* TO 'harness'@'%' WITH GRANT OPTION;
'''
PROGRAMS = ('mariadbd', 'mariadb-install-db')


def missing_programs() -> list[str]:
    """Programs of MariaDB that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name)]


class MariaDb:
    """One server on a port of the loopback. `template` is a data directory to begin with, made once by `make_template`."""

    def __init__(self, directory: Path, template: Path | None = None, options: list[str] | None = None,
                 data: Path | None = None) -> None:
        self.directory, self.options = directory, options or []
        self.data = data or directory / 'data'
        self.port = free_port()
        self.process: Process | None = None
        directory.mkdir(parents=True, exist_ok=True)
        (directory / 'tmp').mkdir(exist_ok=True)
        (directory / 'init.sql').write_text(USERS)
        if template is None:
            install(self.data, directory / 'install.log')
        else:
            # a given directory may be on a small file system: allocated space must stay allocated
            copy(template, self.data, sparse=data is None)
        self.init_file = ['--init-file=%s' % (directory / 'init.sql')]

    def command(self, *more: str) -> list[str]:
        """How it is started."""
        user = ['--user=root'] if os.getuid() == 0 else []
        # commits survive a kill of the process (2), but not a power failure; that is enough here, and quicker
        return ['mariadbd', '--no-defaults', *user, '--datadir=%s' % self.data, '--tmpdir=%s' % (self.directory / 'tmp'),
                '--socket=socket', '--pid-file=%s' % (self.directory / 'server.pid'), '--bind-address=127.0.0.1',
                '--port=%d' % self.port, '--skip-name-resolve', *self.init_file,
                '--character-set-server=utf8mb4', '--collation-server=utf8mb4_general_ci', '--max-connections=500',
                '--max-connect-errors=1000000000', '--innodb-flush-log-at-trx-commit=2', '--innodb-buffer-pool-size=64M',
                '--innodb-log-file-size=32M', '--performance-schema=OFF', '--skip-log-bin', *self.options, *more]

    def launch(self, *more: str) -> None:
        """Starts it without waiting."""
        self.process = Process(self.command(*more), self.directory / 'log', self.environment())

    def environment(self) -> dict[str, str]:
        """The environment that it runs in."""
        return dict(quiet_environment(), TMPDIR=str(self.directory / 'tmp'))

    def start(self, seconds: float = 90, *more: str) -> None:
        """Starts it and waits until it can be used; fails with its log if it cannot."""
        self.launch(*more)
        self.wait_ready(seconds)

    def wait_ready(self, seconds: float) -> None:
        """Waits until it can be used."""
        deadline = time.monotonic() + seconds
        while not self.ready():
            assert self.process is not None
            if self.process.ended() or time.monotonic() > deadline:
                raise RuntimeError('MariaDB in %s does not start:\n%s' % (self.directory, self.process.tail()))
            time.sleep(0.1)

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return self.ask('SELECT 1') == [(1,)]
        except pymysql.MySQLError:
            return False

    def connect(self, timeout: float = 5, **more: Any) -> pymysql.Connection:
        """A connection of the administrator."""
        return pymysql.connect(host='127.0.0.1', port=self.port, user=ADMIN, password=ADMIN, autocommit=True,
                               connect_timeout=int(timeout), read_timeout=timeout, write_timeout=timeout, **more)

    def ask(self, statement: str, timeout: float = 5) -> list[tuple[Any, ...]]:
        """Runs one statement on a connection of its own; returns the rows."""
        with self.connect(timeout) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def url(self, port: int | None = None, parameters: str = '') -> str:
        """Its URL for the service, through another port if one is given."""
        return 'mysql+pymysql://%s:%s@127.0.0.1:%d/%s?charset=utf8mb4%s' % (USER, PASSWORD, port or self.port, DATABASE,
                                                                          parameters)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()

    def stop(self, seconds: float = 30) -> None:
        """SIGTERM, and SIGKILL if it takes too long."""
        if self.process:
            self.process.stop(seconds)

    def threads(self) -> list[int]:
        """Ids of the service's connections."""
        rows = self.ask("SELECT id FROM information_schema.processlist WHERE user = '%s'" % USER)
        return [row[0] for row in rows]


def copy(source: Path, target: Path, sparse: bool = True) -> None:
    """Copies a data directory of a server that does not run."""
    subprocess.run(['cp', '-a', '--sparse=%s' % ('always' if sparse else 'never'), str(source), str(target)], check=True,
                   timeout=120)


def install(data: Path, log: Path) -> None:
    """Makes the system tables."""
    data.mkdir(parents=True)
    user = ['--user=root'] if os.getuid() == 0 else []
    with log.open('wb') as output:
        done = subprocess.run(['mariadb-install-db', '--no-defaults', *user, '--datadir=%s' % data, '--skip-test-db',
                               '--force', '--auth-root-authentication-method=normal', '--innodb-log-file-size=32M'],
                              stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=180)
    if done.returncode:
        raise RuntimeError('mariadb-install-db:\n%s' % log.read_text(errors='replace')[-3000:])


TEMPLATE_LOCK = threading.Lock()


def make_template(directory: Path) -> Path:
    """A data directory with the database and its users, to copy; made once for each `directory`."""
    with TEMPLATE_LOCK:
        template = directory / 'template'
        if not template.exists():
            server = MariaDb(directory / 'template-server')
            server.start()
            server.stop()
            server.data.rename(template)
            shutil.rmtree(directory / 'template-server')
        return template
