"""The service as a process: its configuration, its start, and how it is ended."""

import subprocess
import time
import urllib.request
from pathlib import Path

from .processes import Process, free_port, quiet_environment

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
Options = dict[str, dict[str, str]]


class Service:
    """One process of `freezer-api` without authentication, on a port of the loopback."""

    def __init__(self, programs: Path, directory: Path, name: str, database: str, options: Options | None = None,
                 prefix: list[str] | None = None, environment: dict[str, str] | None = None) -> None:
        self.programs, self.name, self.prefix = programs, name, prefix or []
        self.environment = dict(quiet_environment(), **(environment or {}))
        self.directory = directory
        self.port = free_port()
        self.config = directory / (name + '.conf')
        self.log = directory / (name + '.log')
        self.process: Process | None = None
        self.database, self.options = database, options or {}

    def write_config(self) -> None:
        """Writes the configuration file."""
        sections: Options = {
            'DEFAULT': {'bind_host': '127.0.0.1', 'bind_port': str(self.port), 'auth_strategy': 'noauth'},
            'storage': {'backend': 'sqlalchemy', 'driver': 'sqlalchemy'},
            'database': {'connection': self.database},
            'centralized_scheduler': {'enabled': 'false'}}
        for section, options in self.options.items():
            sections.setdefault(section, {}).update(options)
        lines = []
        for section, options in sections.items():
            lines.append('[%s]' % section)
            lines.extend('%s = %s' % option for option in options.items())
        self.config.write_text('\n'.join(lines) + '\n')

    def sync(self) -> None:
        """Makes the tables."""
        self.write_config()
        done = subprocess.run([str(self.programs / 'freezer-manage'), '--config-file', str(self.config), 'db', 'sync'],
                              env=self.environment, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError('db sync:\n%s%s' % (done.stdout, done.stderr))

    def launch(self) -> None:
        """Starts it without waiting."""
        self.write_config()
        self.process = Process([*self.prefix, str(self.programs / 'freezer-api'), '--config-file', str(self.config)],
                               self.log, self.environment)

    def start(self, seconds: float = 30) -> None:
        """Starts it and waits until it is ready to serve."""
        self.launch()
        deadline = time.monotonic() + seconds
        while not self.ready():
            assert self.process is not None
            if self.process.ended() or time.monotonic() > deadline:
                raise RuntimeError('%s does not start:\n%s' % (self.name, self.process.tail()))
            time.sleep(0.05)

    def ready(self) -> bool:
        """Whether it reports that it can serve."""
        try:
            with OPENER.open('http://127.0.0.1:%d/healthcheck/ready' % self.port, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self, seconds: float = 40) -> int | None:
        """SIGTERM; returns the exit code."""
        return self.process.stop(seconds) if self.process else None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process:
            self.process.kill()
