"""Follows docs/install.md step by step in the root of packaging/test, with MariaDB, Keystone and the real clients on this machine.

    guide.py --root DIR --package FILE --newer FILE --venvs DIR --work DIR --mysql URL

Each code block of the numbered sections runs as it is written, in their order. Only addresses, ports, passwords and prompts are
replaced. Blocks of SQL go to the server, commands of OpenStack's clients run on this machine, and all others in the root. Then the
package is upgraded and purged. The exit code is 0 if every step succeeds.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pymysql

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'tests'), str(ROOT / 'tests/e2e')]

from harness.processes import Process, free_port, wait  # noqa: E402
from rest import Api, User  # noqa: E402
from stack import Stack  # noqa: E402

BLOCK = re.compile(r'^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
CLIENTS = ('openstack ', 'freezer ')
# Exit codes of checks that find something at this step.
EXPECTED = {'config check --connect': 1}


class Machine:
    """The root, booted with the network of this machine."""

    def __init__(self, root: Path, shared: Path, log: Path) -> None:
        command = ['systemd-nspawn', '--quiet', '--directory=%s' % root, '--register=no', '--keep-unit', '--link-journal=no',
                   '--bind=%s:/shared' % shared, '--machine=freezer-guide', '--console=read-only', '--boot']
        self.process = Process(command, log, dict(os.environ))
        if not wait(60, self.boots, 0.5):
            self.stop()
            raise RuntimeError('the root does not boot:\n%s' % self.process.tail())

    def leader(self) -> str | None:
        """Id of the first process in the root."""
        pid = self.process.child.pid
        children = Path('/proc/%d/task/%d/children' % (pid, pid))
        return next(iter(children.read_text().split()), None) if children.exists() else None

    def boots(self) -> bool:
        """Whether the system is up."""
        return self.leader() is not None and self.run('systemctl is-system-running').stdout.strip() in ('running', 'degraded')

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the root."""
        entry = ['nsenter', '--target', self.leader() or '', '--mount', '--uts', '--ipc', '--pid', '--root', '--wd']
        environment = ['env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'DEBIAN_FRONTEND=noninteractive']
        return subprocess.run([*entry, *environment, 'bash', '-c', 'cd /shared; ' + command], capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL)

    def stop(self) -> None:
        """Shuts the system down."""
        if self.leader():
            self.run('systemctl --no-block poweroff')
        wait(20, self.process.ended)
        self.process.stop()


class Guide:
    """The steps of the page."""

    def __init__(self, stack: Stack, machine: Machine, port: int) -> None:
        self.stack, self.machine, self.port = stack, machine, port
        place = stack.mysql
        architecture = subprocess.run(['dpkg', '--print-architecture'], check=True, capture_output=True, text=True).stdout.strip()
        self.replaced = (
            ('controller:5000', stack.keystone.url.removeprefix('http://')),
            ('controller:9090', '127.0.0.1:%d' % port),
            ('@controller/freezer', '@%s:%d/freezer' % (place.hostname, place.port or 3306)),
            ('--password-prompt', '--password FREEZER_PASS'),
            ('FREEZER_DBPASS', 'secret-of-database'), ('FREEZER_PASS', 'secret-of-service'),
            ('[DEFAULT]\n', '[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = %d\n' % port),
            ('_amd64.deb', '_%s.deb' % architecture))
        self.installed = 0.0

    def follow(self) -> None:
        """Runs all blocks of the numbered sections."""
        text = (ROOT / 'docs/install.md').read_text()
        sections = re.split(r'^## ', text, flags=re.MULTILINE)
        for section in sections:
            if re.match(r'\d\. ', section):
                print('## ' + section.splitlines()[0], flush=True)
                for language, block in BLOCK.findall(section):
                    for old, new in self.replaced:
                        block = block.replace(old, new)
                    self.step(language, block)

    def step(self, language: str, block: str) -> None:
        """Runs one block."""
        if language == 'sql':
            for statement in filter(None, map(str.strip, block.split(';'))):
                self.stack._sql(statement)
        elif language == 'ini':
            # Keeps owner and mode of the file.
            done = self.machine.run("cat >/etc/freezer/freezer-api.conf <<'END'\n%sEND" % block)
            assert done.returncode == 0, done
        else:
            for line in block.splitlines():
                self.command(line)

    def command(self, line: str, user: User | None = None) -> str:
        """Runs one command at its place, and returns its output."""
        if line.startswith('apt-get install'):
            self.installed = time.monotonic()
            line = line.replace('apt-get install', 'apt-get install --yes --quiet=2')
        if line.startswith(CLIENTS):
            if user is None:
                user = self.stack.keystone.admin if line.startswith('openstack') else self.stack.users['demo']
            environment = self.stack.client_environment(user)
            venv = 'agent-18' if line.startswith('openstack') else 'client'
            environment['PATH'] = '%s:%s' % (self.stack.venvs[venv] / 'bin', os.environ['PATH'])
            done = subprocess.run(['bash', '-c', line], env=environment, capture_output=True, text=True, timeout=120,
                                  stdin=subprocess.DEVNULL)
        else:
            done = self.machine.run(line)
        expected = next((code for words, code in EXPECTED.items() if words in line), 0)
        print('%s  # exit code %d' % (line, done.returncode), flush=True)
        if done.returncode != expected or ('/ready' in line and 'OK' not in done.stdout):
            journal = self.machine.run('systemctl status --no-pager freezer-api.service; tail -20 /var/log/freezer/freezer-api.log').stdout
            raise RuntimeError('%s\n%s%s\n%s' % (line, done.stdout, done.stderr, journal))
        return done.stdout


def prepare(stack: Stack) -> None:
    """Makes the objects that the page expects to exist: a project for services, and a user with a project."""
    keystone = stack.keystone
    keystone.make('project', {'name': 'service', 'domain_id': 'default'})
    project = keystone.make('project', {'name': 'demo', 'domain_id': 'default'})
    user = User('demo', 'demo-password', 'demo', project_id=project)
    user.id = keystone.make('user', {'name': 'demo', 'domain_id': 'default', 'password': user.password})
    role = keystone.find('role', 'member') or keystone.make('role', {'name': 'member'})
    keystone.call('PUT', 'projects/%s/users/%s/roles/%s' % (project, user.id, role))
    stack.users['demo'] = user


def checks(guide: Guide, stack: Stack, machine: Machine, newer: str) -> None:
    """Uses the installed service, upgrades and purges it."""
    # The user of the server that the page creates is the one in use.
    pymysql.connect(host=stack.mysql.hostname, port=stack.mysql.port, user='freezer', password='secret-of-database',
                    database='freezer').close()
    url = 'http://127.0.0.1:%d' % guide.port
    api = Api(url, stack.keystone, stack.users['demo'])
    api.create('clients', {'client_id': 'node-1', 'hostname': 'node-1'})
    assert 'node-1' in guide.command('freezer client-list')
    assert machine.run('systemctl show --property StatusText --value freezer-api').stdout.strip() == 'Serving'
    pid = machine.run('systemctl show --property MainPID --value freezer-api').stdout.strip()
    memory = machine.run("awk '/^VmRSS/ { print $2 }' /proc/%s/status" % pid).stdout.strip()
    guide.command('apt-get install -o Dpkg::Options::=--force-confold /shared/%s' % newer)
    assert wait(20, lambda: machine.run('curl --fail --silent %s/healthcheck/ready' % url).returncode == 0)
    assert machine.run('systemctl show --property MainPID --value freezer-api').stdout.strip() != pid
    assert 'node-1' in guide.command('freezer client-list')
    guide.command('apt-get purge --yes --quiet=2 freezer-api')
    assert machine.run('test -e /etc/freezer').returncode == 1
    print('ok: the page installs a service that works (resident memory %s KiB)' % memory)


def main() -> int:
    """Runs everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ('root', 'package', 'newer', 'venvs', 'work'):
        parser.add_argument('--' + name, type=Path, required=True)
    parser.add_argument('--mysql', required=True)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(given.work, ignore_errors=True)
    given.work.mkdir(parents=True)
    venvs = {name: given.venvs / name for name in ('keystone', 'client', 'agent-18')}
    stack = Stack(given.work, given.mysql, ROOT, venvs)
    machine = None
    try:
        stack.start_keystone(cache=True)
        prepare(stack)
        machine = Machine(given.root, given.package.parent, given.work / 'root.log')
        port = free_port()
        guide = Guide(stack, machine, port)
        guide.follow()
        print('%.1f s from the start of the installation to the end of the first check' % (time.monotonic() - guide.installed))
        checks(guide, stack, machine, given.newer.name)
    finally:
        if machine is not None:
            machine.stop()
        stack.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
