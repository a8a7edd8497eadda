"""The released freezer-scheduler and agent: ordinary ones of nodes, of this and former releases, and a central one that acts
through trusts."""

import os
import stat
from pathlib import Path
from typing import Any

from checks import Checks, wait
from rest import Api, User
from stack import Process, Stack

SECONDS = 120


def start(stack: Stack, client_id: str, user: User, central: bool = False, venv: str = 'client') -> Process:
    """A scheduler as `freezer-scheduler start` runs it, polling every two seconds; its login is in the environment."""
    jobs = stack.work / (client_id + '-jobs')
    jobs.mkdir()
    config = stack.work / (client_id + '.conf')
    group = ['[scheduler]', 'centralized_scheduler = %s' % central] if venv == 'client' else []
    config.write_text('\n'.join((
        '[DEFAULT]', 'log_file = %s/%s-scheduler.log' % (stack.work, client_id), 'use_stderr = false', *group,
        'client_id = ' + client_id, 'jobs_dir = %s' % jobs, 'interval = 2', 'no_daemon = true', 'concurrent_jobs = 2', '')))
    programs = stack.venvs[venv] / 'bin'
    # the scheduler looks for its agent on the path
    env = stack.client_environment(user)
    env['PATH'] = '%s:%s' % (programs, env['PATH'])
    if venv != 'client':
        # a former scheduler drops the report of an agent that writes anything to standard error, even a warning
        env['PYTHONWARNINGS'] = 'ignore'
    return stack.start([str(programs / 'freezer-scheduler'), '--config-file', str(config), 'start'], client_id, env)


def log_of(stack: Stack, client_id: str) -> str:
    """Returns the log of a scheduler and its agents."""
    path = stack.work / (client_id + '-scheduler.log')
    return path.read_text(errors='replace') if path.exists() else ''


def tree(folder: Path) -> list[tuple[Any, ...]]:
    """Returns names, types, modes, link targets and contents of the files in a folder."""
    found = []
    for path in sorted(folder.rglob('*')):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else b'' if path.is_dir() else path.read_bytes()
        found.append((str(path.relative_to(folder)), stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), content))
    return found


def result_of(api: Api, job_id: str) -> str:
    """How a job ended; '' while it has not."""
    schedule = (api.get('jobs/' + job_id) or {}).get('job_schedule', {})
    return schedule.get('result', '') if schedule.get('status') == 'completed' else ''


def job(client_id: str, action: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A job of one action."""
    return {'client_id': client_id, 'job_schedule': {}, **more,
            'job_actions': [{'max_retries': 0, 'max_retries_interval': 1, 'freezer_action': action}]}


class Node:
    """One node with its scheduler: full backup, incremental one in a session, restore, and a job that must fail."""

    client_id = 'e2e-node'
    part = 'the scheduler of a node'
    venv = 'client'
    levels: dict[str, Any] = {'incremental': True, 'max_level': 5}

    def __init__(self, stack: Stack, api: Api, checks: Checks) -> None:
        self.stack, self.api, self.checks = stack, api, checks
        self.folder = stack.work / (self.client_id + '-files')
        self.source, self.store, self.restored = (self.folder / name for name in ('source', 'store', 'restored'))
        for folder in (self.source / 'deeper', self.store, self.restored):
            folder.mkdir(parents=True)
        (self.source / 'random').write_bytes(os.urandom(200_000))
        (self.source / 'text').write_text('first\n')
        (self.source / 'text').chmod(0o640)
        (self.source / 'with space').write_text('to be removed\n')
        (self.source / 'deeper' / 'program').write_text('#!/bin/sh\n')
        (self.source / 'deeper' / 'program').chmod(0o755)
        (self.source / 'link').symlink_to('deeper/program')
        start(stack, self.client_id, api.user, venv=self.venv)

    def action(self, kind: str, **more: Any) -> dict[str, Any]:
        """An action on this node's store."""
        return {'action': kind, 'mode': 'fs', 'storage': 'local', 'engine_name': 'tar', 'backup_name': 'e2e',
                'container': str(self.store), 'hostname': self.client_id, **more}

    def ends(self, name: str, job_id: str, result: str) -> None:
        """Checks how a job ends."""
        self.checks.within('%s ends with %s' % (name, result), SECONDS,
                           lambda: result_of(self.api, job_id) == result,
                           lambda: '%s\n%s' % (self.api.get('jobs/' + job_id),
                                               log_of(self.stack, self.client_id)[-1500:]))

    def run(self) -> None:
        """All of it, in turn."""
        checks, api = self.checks, self.api
        checks.begin(self.part)
        checks.within('it registers', 60, lambda: api.get('clients/' + self.client_id),
                      lambda: log_of(self.stack, self.client_id)[-1500:])
        backup = self.action('backup', path_to_backup=str(self.source), **self.levels)
        full = api.create('jobs', job(self.client_id, backup, description='full'))
        self.ends('full backup', full, 'success')
        self.catalogued('full backup', full)
        self.in_session(backup)
        restore = self.action('restore', restore_abs_path=str(self.restored))
        self.ends('restore', api.create('jobs', job(self.client_id, restore)), 'success')
        checks.that('the restored tree is the same', len(tree(self.source)) > 4
                    and tree(self.source) == tree(self.restored),
                    [(a[:3], b[:3]) for a, b in zip(tree(self.source), tree(self.restored)) if a != b])
        broken = self.action('backup', path_to_backup=str(self.folder / 'missing'), backup_name='broken')
        self.ends('a backup of a missing folder', api.create('jobs', job(self.client_id, broken)), 'fail')
        checks.that('it failed for that reason', str(self.folder / 'missing') in log_of(self.stack, self.client_id))
        checks.equal('rows in the catalogue', len(self.backups()), 2)

    def backups(self) -> list[dict[str, Any]]:
        """Rows of the catalogue from this node."""
        found = self.api.get('backups', {'match': [{'hostname': self.client_id}]})
        return [row['backup_metadata'] for row in found['backups']]

    def catalogued(self, name: str, job_id: str) -> None:
        """Checks the row of one job."""
        self.checks.that('%s: its row is in the catalogue' % name,
                         [row['backup_name'] for row in self.backups() if row.get('job_id') == job_id] == ['e2e'],
                         self.backups())

    def in_session(self, backup: dict[str, Any]) -> None:
        """The incremental backup, after changes in the source."""
        checks, api = self.checks, self.api
        (self.source / 'text').write_text('second\n')
        (self.source / 'with space').unlink()
        (self.source / 'deeper' / 'new').write_text('new\n')
        session = api.create('sessions', {'description': 'e2e', 'hold_off': 5, 'schedule': {}})
        stopped = {'status': 'stop', 'event': 'stop'}
        level = api.create('jobs', job(self.client_id, backup, job_schedule=stopped))
        checks.equal('added to a session', api.call('PUT', 'sessions/%s/jobs/%s' % (session, level)).status, 204)
        checks.equal('started', api.call('POST', 'jobs/%s/event' % level, {'start': None}).status, 202)
        self.ends('incremental backup', level, 'success')
        self.catalogued('incremental backup', level)
        levels = sorted(path.name.split('_')[0] for path in self.store.glob('data/tar/*/*/*'))
        checks.equal('levels in the store', levels, ['0', '1'])
        checks.within('the session has ended', 30, lambda: api.get('sessions/' + session)['status'] == 'completed',
                      lambda: api.get('sessions/' + session))
        ended = api.get('sessions/' + session)
        checks.equal('result and tag of the session', (ended['result'], ended['session_tag']), ('success', 1))
        checks.equal('result of the job in it', ended['jobs'][level]['result'], 'success')


class OldNode(Node):
    """A node with the scheduler of a former release, which sends whole jobs back; also while a job changes under it."""

    # these releases compare a maximal level, which they read as text, with a number
    levels = {'incremental': True}

    def __init__(self, stack: Stack, api: Api, checks: Checks, release: str, venv: str) -> None:
        self.client_id, self.part, self.venv = 'e2e-' + venv, 'an agent of ' + release, venv
        super().__init__(stack, api, checks)

    def run(self) -> None:
        """Runs a node of this release, and then changes documents while jobs run."""
        super().run()
        self.stops()
        self.outlives_changes()

    def edit(self, job_id: str) -> str:
        """Changes the action of a job, as a user does meanwhile; gives the action's id."""
        action_id = self.api.get('jobs/' + job_id)['job_actions'][0]['action_id']
        edited = {'freezer_action': {'backup_name': 'edited'}}
        self.checks.equal('an action is edited', self.api.call('PATCH', 'actions/' + action_id, edited).status, 200)
        return action_id

    def kept(self, job_id: str) -> None:
        """Checks that no report has undone the edit."""
        names = [action['freezer_action']['backup_name'] for action in self.api.get('jobs/' + job_id)['job_actions']]
        self.checks.equal('the edit stays', names, ['edited'])

    def reaches(self, name: str, job_id: str, **wanted: Any) -> None:
        """Waits until the schedule of a job shows these values."""
        def there() -> bool:
            schedule = self.api.get('jobs/' + job_id)['job_schedule']
            return all(schedule.get(key) == value for key, value in wanted.items())
        self.checks.within('%s: %s' % (name, wanted), SECONDS, there, lambda: '%s\n%s' % (
            self.api.get('jobs/' + job_id), log_of(self.stack, self.client_id)[-1500:]))

    def stops(self) -> None:
        """A job that waits for its time is stopped after its action was edited."""
        waiting = job(self.client_id, self.action('backup', path_to_backup=str(self.source)),
                      job_schedule={'schedule_interval': '1 days'})
        job_id = self.api.create('jobs', waiting)
        self.reaches('a job with a schedule', job_id, status='scheduled')
        self.edit(job_id)
        self.checks.equal('stop', self.api.call('POST', 'jobs/%s/event' % job_id, {'stop': None}).status, 202)
        self.reaches('a stopped job', job_id, status='stop', event='')
        self.kept(job_id)

    def outlives_changes(self) -> None:
        """Jobs run to their end while their action is edited or deleted, and while their client is gone."""
        sleep = self.action('exec', command='sleep 8')
        edited, without = (self.api.create('jobs', job(self.client_id, sleep)) for _ in range(2))
        for job_id in (edited, without):
            self.reaches('a job', job_id, status='running')
        self.edit(edited)
        deleted = self.edit(without)
        self.checks.equal('an action is deleted', self.api.call('DELETE', 'actions/' + deleted).status, 204)
        gone = self.api.call('DELETE', 'clients/' + self.client_id).status
        self.checks.equal('the client is deleted', gone, 204)
        for name, job_id in (('a job whose action was edited', edited), ('a job whose action is gone', without)):
            self.ends(name, job_id, 'success')
        self.kept(edited)
        self.checks.equal('the deleted action does not come back', self.api.get('jobs/' + without)['job_actions'], [])
        refused = [line for line in log_of(self.stack, self.client_id).splitlines() if 'Job update error' in line]
        self.checks.equal('reports that were refused', refused, [])


class Central:
    """A central scheduler, run by the service's user, with jobs of two projects."""

    client_id = 'e2e-central'

    def __init__(self, stack: Stack, service: Api, owners: list[Api], checks: Checks) -> None:
        self.stack, self.service, self.owners, self.checks = stack, service, owners, checks
        self.jobs: dict[str, str] = {}
        self.trusts: dict[str, str] = {}
        for owner in owners:
            folder = self.folder(owner)
            (folder / 'source').mkdir(parents=True)
            (folder / 'source' / 'whose').write_text(owner.user.name)
            (folder / 'store').mkdir()
        start(stack, self.client_id, service.user, central=True)

    def folder(self, owner: Api) -> Path:
        """Returns the directory of the files of an owner."""
        return self.stack.work / 'central' / owner.user.name

    def document(self, owner: Api) -> dict[str, Any]:
        """A job of an owner."""
        folder = self.folder(owner)
        return job(self.client_id, {
            'action': 'backup', 'mode': 'fs', 'storage': 'local', 'engine_name': 'tar',
            'backup_name': 'of-' + owner.user.name, 'hostname': self.client_id,
            'path_to_backup': str(folder / 'source'), 'container': str(folder / 'store')})

    def given(self, owner: Api) -> list[dict[str, Any]]:
        """Trusts from an owner to the service's user, as Keystone lists them."""
        found = self.stack.keystone.call('GET', 'OS-TRUST/trusts?trustor_user_id=' + owner.user.id,
                                         token=owner.token).body['trusts']
        return [trust for trust in found if trust['trustee_user_id'] == self.service.user.id]

    def begin(self) -> None:
        """Registration, and the owners' jobs with their trusts."""
        checks = self.checks
        checks.begin('a central scheduler with trusts')
        for owner in self.owners:
            seen = checks.within('%s sees the central client' % owner.user.name, 60,
                                 lambda: owner.get('clients/' + self.client_id),
                                 lambda: log_of(self.stack, self.client_id)[-1500:])
            if not seen:
                return
            name = owner.user.name
            checks.equal('%s has given no trust' % name, self.given(owner), [])
            job_id = owner.create('jobs', self.document(owner))
            self.jobs[name] = job_id
            credentials = owner.get('jobs/' + job_id).get('user_credentials') or {}
            checks.equal('%s is the trustor' % name, credentials.get('trustor_user_id'), owner.user.id)
            given = self.given(owner)
            checks.equal('Keystone has the trust of %s' % name,
                         [(trust['id'], trust['project_id'], trust['impersonation']) for trust in given],
                         [(credentials.get('trust_id'), owner.user.project_id, False)])
            self.trusts[name] = credentials.get('trust_id', '')

    def finish(self, mate: Api) -> None:
        """The backups, each in its owner's project; then the trusts go with the last jobs."""
        checks = self.checks
        checks.begin('a central scheduler with trusts')
        for owner in self.owners:
            name, job_id = owner.user.name, self.jobs.get(owner.user.name, '')
            checks.within('the job of %s succeeds' % name, SECONDS, lambda: result_of(owner, job_id) == 'success',
                          lambda: '%s\n%s' % (owner.get('jobs/' + job_id), log_of(self.stack, self.client_id)[-1500:]))
            # the row is sent just before the last change of the job
            rows = wait(10, lambda: owner.get('backups', {'match': [{'hostname': self.client_id}]})['backups'])
            checks.equal('its backup is in the project of %s, and no other is' % name,
                         [(row['project_id'], row['backup_metadata']['backup_name'], row['backup_metadata']['job_id'])
                          for row in rows or []],
                         [(owner.user.project_id, 'of-' + name, job_id)])
            checks.that('its archive is in the store', any((self.folder(owner) / 'store').rglob('0_*/*')))
        rows = self.service.get('backups', {'match': [{'hostname': self.client_id}]})['backups']
        checks.equal('nothing of it is in the project of the service', rows, [])
        self.trusts_end(mate)

    def trusts_end(self, mate: Api) -> None:
        """A trust lives as long as a job uses it."""
        checks = self.checks
        first, second = self.owners
        again = first.create('jobs', self.document(first))
        shown = first.get('jobs/' + again)['user_credentials']['trust_id']
        checks.equal('the second job of %s uses the same trust' % first.user.name, shown, self.trusts[first.user.name])
        checks.equal('its first job is deleted', first.call('DELETE', 'jobs/' + self.jobs[first.user.name]).status, 204)
        checks.equal('the trust stays', [trust['id'] for trust in self.given(first)], [shown])
        checks.equal('a mate in the project deletes the last job', mate.call('DELETE', 'jobs/' + again).status, 204)
        checks.equal('the trust is gone', self.given(first), [])
        checks.equal('%s deletes theirs' % second.user.name,
                     second.call('DELETE', 'jobs/' + self.jobs[second.user.name]).status, 204)
        checks.equal('that trust is gone, too', self.given(second), [])
        gone = self.stack.keystone.call('GET', 'OS-TRUST/trusts/' + self.trusts[second.user.name])
        checks.equal('Keystone does not know it', gone.status, 404)
