"""Starts and ends the two services as processes, each on a free port of the loopback."""
import os
import pathlib
import random
import socket
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent

CONFIG = '''[DEFAULT]
bind_host = 127.0.0.1
bind_port = {port}
auth_strategy = noauth
[storage]
backend = sqlalchemy
driver = sqlalchemy
[database]
connection = {url}
[oslo_policy]
enforce_scope = true
enforce_new_defaults = true
[centralized_scheduler]
enabled = false
[api]
# stories report the same backup more than once: repeats.rs tests the difference
repeated_backup_window = 0
[paste_deploy]
config_file = {paste}
'''

# as the released one, without the filter that asks Keystone
PIPELINE = 'pipeline = http_proxy_to_wsgi versionsNegotiator authtoken'


def free_port() -> int:
    """Returns a free port below those that the system uses for connections."""
    first, last = (int(number) for number in os.environ.get('CONFORMANCE_PORTS', '20000-32000').split('-'))
    for _ in range(100):
        port = random.randint(first, last)
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) != 0:
                return port
    raise RuntimeError('no free port between %d and %d' % (first, last))


class Service:
    """One running service."""

    def __init__(self, name: str, directory: pathlib.Path, url: str) -> None:
        self.name = name
        self.port = free_port()
        self.directory = directory / name
        self.directory.mkdir(parents=True)
        paste = self.directory / 'paste.ini'
        paste.write_text(released_paste().replace(PIPELINE, PIPELINE.replace(' authtoken', '')).replace(
            '/etc/freezer/healthcheck_disable', str(self.directory / 'disabled')))
        self.config = self.directory / 'freezer-api.conf'
        self.config.write_text(CONFIG.format(port=self.port, url=url, paste=paste))
        self.log = self.directory / 'log'
        self.process = None

    def manage(self, *command: str) -> None:
        """Runs the program that makes the tables."""
        done = subprocess.run([*self.manage_command(), '--config-file', str(self.config), *command],
                              capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            raise RuntimeError('%s: %s\n%s%s' % (self.name, command, done.stdout, done.stderr))

    def start(self) -> None:
        """Starts the service and waits until it answers."""
        environment = dict(os.environ, PYTHONPATH=str(HERE.parent))
        with self.log.open('wb') as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment)
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen('http://127.0.0.1:%d/healthcheck' % self.port, timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError('%s did not start:\n%s' % (self.name, self.log.read_text()[-3000:]))

    def stop(self) -> None:
        """Ends the process."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)

    def command(self) -> list[str]:
        """Returns the command that serves."""
        raise NotImplementedError

    def manage_command(self) -> list[str]:
        """Returns the command that manages the database."""
        raise NotImplementedError


class Theirs(Service):
    """freezer-api 19.0.0."""

    def command(self) -> list[str]:
        return [sys.executable, '-m', 'conformance.python_service', str(self.config), str(self.port)]

    def manage_command(self) -> list[str]:
        return [sys.executable, '-c', 'import sys; sys.argv[0] = "freezer-manage"; '
                'from freezer_api.cmd.manage import main; sys.exit(main())']


class Ours(Service):
    """The service of this project; `binaries` is the directory of its programs."""

    def __init__(self, name: str, directory: pathlib.Path, url: str, binaries: pathlib.Path) -> None:
        super().__init__(name, directory, url)
        self.binaries = binaries

    def command(self) -> list[str]:
        return [str(self.binaries / 'freezer-api'), '--config-file', str(self.config)]

    def manage_command(self) -> list[str]:
        return [str(self.binaries / 'freezer-manage')]


def released_paste() -> str:
    """The pipelines that the package of 19.0.0 brings."""
    path = pathlib.Path(sys.prefix) / 'etc/freezer/freezer-paste.ini'
    return path.read_text()
