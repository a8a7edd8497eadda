"""The released freezer-scheduler and agent: an ordinary one of a node, and a central one that acts through trusts."""

import os
import stat
from pathlib import Path
from typing import Any

from checks import Checks, wait
from rest import Api, User
from stack import Process, Stack

SECONDS = 120


def start(stack: Stack, client_id: str, user: User, central: bool = False) -> Process:
    """A scheduler as `freezer-scheduler start` runs it, polling every two seconds; its login is in the environment."""
    jobs = stack.work / (client_id + '-jobs')
    jobs.mkdir()
    config = stack.work / (client_id + '.conf')
    config.write_text('\n'.join((
        '[DEFAULT]', 'log_file = %s/%s-scheduler.log' % (stack.work, client_id), 'use_stderr = false',
        '[scheduler]', 'client_id = ' + client_id, 'jobs_dir = %s' % jobs, 'interval = 2', 'no_daemon = true',
        'concurrent_jobs = 2', 'centralized_scheduler = %s' % central, '')))
    program = str(stack.venvs['client'] / 'bin' / 'freezer-scheduler')
    return stack.start([program, '--config-file', str(config), 'start'], client_id, stack.client_environment(user))


def log_of(stack: Stack, client_id: str) -> str:
    """What a scheduler and its agents logged."""
    path = stack.work / (client_id + '-scheduler.log')
    return path.read_text(errors='replace') if path.exists() else ''


def tree(folder: Path) -> list[tuple[Any, ...]]:
    """Names, kinds, modes, link targets and contents of what is in a folder."""
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

    def __init__(self, stack: Stack, api: Api, checks: Checks) -> None:
        self.stack, self.api, self.checks = stack, api, checks
        self.folder = stack.work / 'node'
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
        start(stack, self.client_id, api.user)

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
        checks.begin('the scheduler of a node')
        checks.within('it registers', 60, lambda: api.get('clients/' + self.client_id),
                      lambda: log_of(self.stack, self.client_id)[-1500:])
        backup = self.action('backup', path_to_backup=str(self.source), incremental=True, max_level=5)
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
        """Where an owner's files are."""
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
