"""Every sub-command of the released `freezer` command, as a user types it: exit status, output and effect."""

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checks import Checks
from rest import Api
from stack import Stack


class Terminal:
    """Runs the command as one user."""

    def __init__(self, stack: Stack, api: Api, checks: Checks) -> None:
        self.api, self.checks = api, checks
        self.program = str(stack.venvs['client'] / 'bin' / 'freezer')
        self.env = stack.client_environment(api.user)
        self.files = stack.work / 'commands'
        self.files.mkdir()
        self.typed: set[str] = set()

    def file(self, name: str, document: Any) -> str:
        """A JSON file to hand to the command."""
        path = Path(self.files / (name + '.json'))
        path.write_text(json.dumps(document))
        return str(path)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end."""
        return subprocess.run([self.program, *words], env=self.env, capture_output=True, text=True, timeout=120)

    def output(self, *words: str) -> str:
        """Returns the output of a call."""
        return self.call(*words).stdout

    def type(self, *words: str, prints: tuple[str, ...] = (), lacks: tuple[str, ...] = (),
             did: Callable[[], bool] = lambda: True) -> str:
        """One call; gives its standard output."""
        self.typed.add(words[0])
        done = self.call(*words)
        output = done.stdout + done.stderr
        held = (done.returncode == 0 and 'Traceback' not in output and 'Error' not in done.stderr
                and all(word in output for word in prints) and not any(word in output for word in lacks) and did())
        self.checks.that(' '.join(words[:2] if words[1:] and words[1].startswith('--') else words[:1]), held,
                         'exit status %s: %s' % (done.returncode, output))
        return done.stdout

    def of(self, path: str, *keys: str) -> Any:
        """Returns a value in a document of the service, or None if there is none."""
        found = self.api.get(path)
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found


def backup_action(name: str) -> dict[str, str]:
    """The action of the jobs in these tests."""
    return {'action': 'backup', 'mode': 'fs', 'storage': 'local', 'engine_name': 'tar', 'backup_name': name,
            'path_to_backup': '/srv/data', 'container': '/srv/store'}


def run(stack: Stack, api: Api, checks: Checks) -> None:
    """Runs all commands in the usual order of a user."""
    checks.begin('the freezer command')
    terminal = Terminal(stack, api, checks)
    node = 'cli-node'
    job = clients_and_jobs(terminal, node)
    session_and_action(terminal, job)
    backups(terminal)
    terminal.type('job-delete', job, did=lambda: api.call('GET', 'jobs/' + job).status == 404)
    terminal.type('client-delete', node, did=lambda: api.call('GET', 'clients/' + node).status == 404)
    listed = set(re.findall(r'^  ([a-z]+(?:-[a-z]+)+) ', terminal.output('--help'), re.MULTILINE))
    checks.equal('sub-commands that were not typed', sorted(listed - terminal.typed), [])
    checks.that('sub-commands', len(listed) >= 30, listed)


def the_id(printed: str, key: str) -> str:
    """Returns the id in the output of `create -f json`."""
    return str(json.loads(printed)[key])


def clients_and_jobs(terminal: Terminal, node: str) -> str:
    """A node and a job on it; gives the job's id."""
    kind, of = terminal.type, terminal.of
    client = terminal.file('client', {'client_id': node, 'hostname': node, 'description': 'typed'})
    kind('client-register', '--file', client, did=lambda: of('clients/' + node, 'client', 'description') == 'typed')
    kind('client-list', prints=(node,))
    kind('client-show', node, prints=(node, 'typed'))
    document = terminal.file('job', {
        'description': 'typed job', 'job_schedule': {'schedule_interval': '5 minutes'},
        'job_actions': [{'max_retries': 2, 'max_retries_interval': 5, 'freezer_action': backup_action('typed')}]})
    job = the_id(kind('job-create', '--file', document, '--client', node, '-f', 'json', prints=('typed job',)), 'Job ID')
    path = 'jobs/' + job
    kind('job-list', prints=(job, 'typed job'))
    kind('job-list', '--client', node, prints=(job,))
    kind('job-list', '--client', 'nobody', lacks=(job,))
    kind('job-list', '--search', json.dumps([{'client_id': node}]), prints=(job,))
    kind('job-list', '--all-projects', prints=(job,))
    kind('job-show', job, prints=(job, 'typed job'))
    kind('job-get', job, prints=('typed', '5 minutes'))
    patch = terminal.file('job-patch', {'description': 'changed job'})
    kind('job-update', job, patch, did=lambda: of(path, 'description') == 'changed job'
         and of(path, 'job_schedule', 'schedule_interval') == '5 minutes')
    for event in ('start', 'stop', 'abort'):
        kind('job-' + event, job, did=lambda event=event: of(path, 'job_schedule', 'event') == event)
    return job


def session_and_action(terminal: Terminal, job: str) -> None:
    """An action, and a session with the job."""
    kind, of = terminal.type, terminal.of
    document = terminal.file('action', {'max_retries': 3, 'freezer_action': backup_action('alone')})
    action = the_id(kind('action-create', '--file', document, '-f', 'json', prints=('alone',)), 'Action ID')
    kind('action-list', prints=(action,))
    kind('action-show', action, prints=(action, 'alone'))
    patch = terminal.file('action-patch', {'max_retries': 7, 'freezer_action': {'action': 'backup', 'mode': 'fs',
                                                                               'backup_name': 'renamed'}})
    kind('action-update', action, patch, did=lambda: of('actions/' + action, 'max_retries') == 7
         and of('actions/' + action, 'freezer_action', 'backup_name') == 'renamed')
    document = terminal.file('session', {'description': 'typed session', 'hold_off': 60,
                                         'schedule': {'schedule_interval': '1 days'}})
    session = the_id(kind('session-create', '--file', document, '-f', 'json', prints=('typed session',)), 'Session ID')
    path = 'sessions/' + session
    kind('session-list', prints=(session,))
    kind('session-show', session, prints=(session, 'typed session'))
    patch = terminal.file('session-patch', {'description': 'changed session'})
    kind('session-update', session, patch, did=lambda: of(path, 'description') == 'changed session')
    kind('session-add-job', '--session-id', session, '--job-id', job, did=lambda: job in (of(path, 'jobs') or {})
         and of('jobs/' + job, 'session_id') == session)
    kind('session-start', '--session-id', session, '--job-id', job, '--job-tag', '0',
         did=lambda: of(path, 'session_tag') == 1 and of(path, 'status') == 'running')
    kind('session-remove-job', '--session-id', session, '--job-id', job,
         did=lambda: job not in (of(path, 'jobs') or {}) and of('jobs/' + job, 'session_id') == '')
    kind('session-delete', session, did=lambda: terminal.api.call('GET', path).status == 404)
    kind('action-delete', action, did=lambda: terminal.api.call('GET', 'actions/' + action).status == 404)


def backups(terminal: Terminal) -> None:
    """An entry of the catalogue."""
    kind, api = terminal.type, terminal.api
    document = terminal.file('backup', {'container': '/srv/store', 'hostname': 'cli-node', 'backup_name': 'catalogued',
                                        'time_stamp': int(time.time()), 'curr_backup_level': 0, 'mode': 'fs'})

    def named() -> list[str]:
        found = api.get('backups', {'match': [{'backup_name': 'catalogued'}]})['backups']
        return [backup['backup_id'] for backup in found]

    # the released client prints no id here
    kind('backup-create', '--file', document, did=lambda: len(named()) == 1)
    backup = named()[0]
    kind('backup-list', prints=(backup, 'cli-node'))
    kind('backup-list', '--search', json.dumps([{'backup_name': 'catalogued'}]), prints=(backup,))
    kind('backup-list', '--search', json.dumps([{'backup_name': 'another'}]), lacks=(backup,))
    kind('backup-show', backup, prints=('catalogued',))
    kind('backup-delete', backup, did=lambda: not named())
