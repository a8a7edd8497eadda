"""python-freezerclient against a service without authentication (auth_strategy = noauth).

    freezerclient_roundtrip.py [--freezer-api-19] URL [test ...]

Every test has its own projects, so the service may contain other data, and no test sees the documents of another.
Use `--freezer-api-19` for the Python service. The tests then skip the decided differences
(docs/compatibility.md).
"""

import sys
import time
import unittest
import uuid

from freezerclient import exceptions
from freezerclient import utils
from freezerclient.v2 import client as freezer_client

URL = None
OURS = True


class Session:
    """The part of a keystoneauth session that the client uses. The token identifies the caller."""

    def __init__(self, user, project, roles):
        self.user, self.project, self.roles = user, project, roles

    def get_token(self):
        return '/'.join((self.user, self.project, self.roles))

    def get_project_id(self):
        return self.project


def identity_headers(token, make=utils.create_headers_for_request):
    """The client's own headers, and the identity that a service without authentication believes."""
    user, project, roles = token.split('/')
    return dict(make(token), **{'X-User-Id': user, 'X-Project-Id': project, 'X-Roles': roles})


utils.create_headers_for_request = identity_headers


def unique():
    return uuid.uuid4().hex


def caller(project=None, user=None, roles='member'):
    return freezer_client.Client(
        session=Session(user or unique(), project or unique(), roles), endpoint=URL)


def backup_action(**more):
    return {'freezer_action': dict({
        'action': 'backup', 'mode': 'fs', 'backup_name': 'etc', 'path_to_backup': '/etc',
        'container': '/var/backups', 'storage': 'local'}, **more)}


def pages(fetch, limit):
    """Every document of a list, as a scheduler reads it: until a page is not full."""
    found, offset = [], 0
    while offset < 1000:
        page = fetch(limit=limit, offset=offset)
        found += page
        if len(page) < limit:
            return found
        offset += limit
    raise AssertionError('the list does not end')


class RoundTrip(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.api = caller()
        self.project = self.api.project_id

    def assertHas(self, document, expected):
        self.assertEqual({key: document.get(key) for key in expected}, expected)

    def assertRefused(self, status, call, *arguments, **named):
        with self.assertRaises(exceptions.ApiClientException) as raised:
            call(*arguments, **named)
        self.assertEqual(raised.exception.status_code, status, raised.exception)
        # "[*] Error 404: ..." comes from the description of the error's document
        self.assertRegex(str(raised.exception), r'\A\[\*\] Error %d: [^{<]+' % status)

    def node(self, name='node-1', **more):
        return self.api.clients.create(dict({'client_id': name, 'hostname': name}, **more))

    def job(self, name='node-1', api=None, **more):
        return (api or self.api).jobs.create(dict({
            'client_id': name, 'description': 'nightly', 'job_actions': [backup_action()],
            'job_schedule': {'schedule_interval': '1 days'}}, **more))

    def event_of(self, job_id):
        return self.api.jobs.get(job_id)['job_schedule']['event']


class Clients(RoundTrip):

    def test_create_get_list_delete(self):
        self.assertEqual(self.node(description='first node'), 'node-1')
        document = self.api.clients.get('node-1')
        self.assertEqual(document['project_id'], self.project)
        self.assertHas(document['client'], {
            'client_id': 'node-1', 'hostname': 'node-1', 'description': 'first node'})
        uuid.UUID(document['client']['uuid'])
        self.assertEqual(self.api.clients.list(), [document])
        self.api.clients.delete('node-1')
        self.assertIsNone(self.api.clients.get('node-1'))
        self.assertEqual(self.api.clients.list(), [])

    def test_registering_again_as_schedulers_do_at_each_start(self):
        self.node(description='before')
        self.node(description='after')
        (document,) = self.api.clients.list()
        self.assertEqual(document['client']['description'], 'after')

    def test_a_deleted_one_can_be_registered_again(self):
        self.node()
        self.api.clients.delete('node-1')
        self.node()
        self.assertEqual(len(self.api.clients.list()), 1)

    def test_pages(self):
        names = ['node-%02d' % number for number in range(12)]
        for name in names:
            self.node(name)
        found = [document['client']['client_id'] for document in pages(self.api.clients.list, 5)]
        self.assertEqual(sorted(found), names)
        self.assertEqual(len(self.api.clients.list()), 10)
        self.assertEqual(len(self.api.clients.list(limit=100)), 12)
        self.assertEqual(self.api.clients.list(offset=12), [])

    def test_search(self):
        self.node('web-1', description='Front End')
        self.node('db-1', description='store')

        def found(search):
            return [document['client']['client_id'] for document in self.api.clients.list(search=search)]

        self.assertEqual(found({'match': [{'client_id': 'db-1'}]}), ['db-1'])
        self.assertEqual(found({'match': [{'client_id': 'none'}]}), [])
        self.assertEqual(found({'match_not': [{'client_id': 'db-1'}]}), ['web-1'])
        self.assertEqual(found(utils.prepare_search('[{"client_id": "db-1"}]')), ['db-1'])
        if OURS:
            self.assertEqual(found(utils.prepare_search('front end')), ['web-1'])
            self.assertEqual(found(utils.prepare_search('nowhere')), [])


class Actions(RoundTrip):

    def test_create_get_update_list_delete(self):
        action_id = self.api.actions.create(dict(backup_action(own_key={'kept': [1, None, 'x']}), max_retries=2))
        document = self.api.actions.get(action_id)
        self.assertHas(document, {'action_id': action_id, 'project_id': self.project, 'max_retries': 2})
        self.assertHas(document['freezer_action'], {
            'action': 'backup', 'path_to_backup': '/etc', 'own_key': {'kept': [1, None, 'x']}})
        (listed,) = self.api.actions.list()
        self.assertHas(listed, document)

        patch = {'freezer_action': {'action': 'backup', 'mode': 'fs', 'container': '/mnt'}, 'max_retries': 7}
        self.assertIsNotNone(self.api.actions.update(action_id, patch))
        document = self.api.actions.get(action_id)
        self.assertEqual((document['max_retries'], document['freezer_action']['container']), (7, '/mnt'))
        if OURS:
            self.assertEqual(document['freezer_action']['path_to_backup'], '/etc')

        self.api.actions.delete(action_id)
        self.assertIsNone(self.api.actions.get(action_id))
        self.api.actions.delete(action_id)

    def test_an_id_of_the_caller(self):
        action_id = unique()
        self.assertEqual(self.api.actions.create(backup_action(), action_id=action_id), action_id)
        self.assertEqual(self.api.actions.get(action_id)['action_id'], action_id)

    def test_a_document_that_is_none(self):
        self.assertRefused(400, self.api.actions.create, {})
        if OURS:
            self.assertRefused(400, self.api.actions.create, {'freezer_action': 'backup'})
            self.assertRefused(400, self.api.actions.create, dict(backup_action(), max_retries='many'))


class Jobs(RoundTrip):

    def setUp(self):
        super().setUp()
        self.node()

    def test_create_get_update_list_delete(self):
        before = int(time.time()) - 5
        job_id = self.job()
        document = self.api.jobs.get(job_id)
        self.assertHas(document, {
            'job_id': job_id, 'client_id': 'node-1', 'project_id': self.project, 'description': 'nightly'})
        self.assertHas(document['job_schedule'], {
            'schedule_interval': '1 days', 'time_started': -1, 'time_ended': -1})
        self.assertGreaterEqual(document['job_schedule']['time_created'], before)
        (action,) = document['job_actions']
        self.assertHas(action['freezer_action'], {'action': 'backup', 'backup_name': 'etc', 'storage': 'local'})
        self.assertEqual(self.api.actions.get(action['action_id'])['action_id'], action['action_id'])
        self.assertEqual(self.api.jobs.list_all(), [document])

        self.assertIsNotNone(self.api.jobs.update(job_id, {'description': 'weekly'}))
        document = self.api.jobs.get(job_id)
        self.assertEqual(document['description'], 'weekly')
        self.assertEqual(len(document['job_actions']), 1)
        if OURS:
            self.assertEqual(document['job_schedule']['schedule_interval'], '1 days')
            self.assertEqual(document['job_schedule']['event'], '')

        self.api.jobs.delete(job_id)
        self.assertIsNone(self.api.jobs.get(job_id))
        self.assertEqual(self.api.jobs.list_all(), [])
        self.api.jobs.delete(job_id)

    def test_several_actions_stay_in_order_and_may_be_known_ones(self):
        known = self.api.actions.create(backup_action(backup_name='known'))
        names = ['b', 'a', 'c']
        actions = [backup_action(backup_name=name) for name in names]
        job_id = self.job(job_actions=actions[:2] + [{'action_id': known}] + actions[2:])
        found = self.api.jobs.get(job_id)['job_actions']
        self.assertEqual([a['freezer_action']['backup_name'] for a in found], ['b', 'a', 'known', 'c'])
        self.assertEqual(found[2]['action_id'], known)
        self.assertRefused(422, self.job, job_actions=[{'action_id': unique()}])
        self.assertRefused(422, self.job, name='unknown-node')

    def test_events(self):
        job_id = self.job()
        for request, event in (
                (self.api.jobs.start_job, 'start'),
                (self.api.jobs.stop_job, 'stop'),
                (self.api.jobs.abort_job, 'abort')):
            self.assertEqual(request(job_id), {'result': 'success'})
            self.assertEqual(self.event_of(job_id), event)
            self.assertEqual(request(job_id), {'result': event + ' already requested'})
        if OURS:
            self.assertRefused(404, self.api.jobs.start_job, unique())

    def test_a_run_as_a_scheduler_reports_it(self):
        job_id = self.job()
        self.api.jobs.start_job(job_id)
        schedule = dict(self.api.jobs.get(job_id)['job_schedule'], event='', status='running', current_pid=4711)
        self.api.jobs.update(job_id, {'job_schedule': schedule, 'session_id': '', 'session_tag': 0})
        self.assertHas(self.api.jobs.get(job_id)['job_schedule'], {
            'event': '', 'status': 'running', 'current_pid': 4711, 'schedule_interval': '1 days'})
        schedule.update(status='completed', result='success', time_ended=int(time.time()))
        self.api.jobs.update(job_id, {'job_schedule': schedule})
        self.assertHas(self.api.jobs.get(job_id)['job_schedule'], {'status': 'completed', 'result': 'success'})
        poll = {'match_not': [{'status': 'completed'}]}
        self.assertEqual(self.api.jobs.list(search=poll, client_id='node-1'), [])

    def test_search_and_pages(self):
        self.node('node-2')
        mine = [self.job(description='number %d' % number) for number in range(11)]
        other = self.job('node-2', description='Weekly dump')

        def ids(jobs):
            return [job['job_id'] for job in jobs]

        self.assertEqual(ids(self.api.jobs.list(client_id='node-2')), [other])
        found = ids(pages(lambda **page: self.api.jobs.list(client_id='node-1', **page), 4))
        self.assertEqual(sorted(found), sorted(mine))
        found = ids(pages(self.api.jobs.list_all, 3))
        self.assertEqual(sorted(found), sorted(mine + [other]))
        self.assertEqual(ids(self.api.jobs.list_all(search=utils.prepare_search('[{"client_id": "node-2"}]'))), [other])
        if OURS:
            self.assertEqual(ids(self.api.jobs.list_all(search=utils.prepare_search('weekly'))), [other])
            self.assertEqual(ids(self.api.jobs.list(search=utils.prepare_search('weekly'), client_id='node-1')), [])
            self.assertRefused(400, self.api.jobs.list_all, search={'match': 'no list'})

    def test_projects_are_apart_unless_an_admin_asks_for_all(self):
        mine = self.job()
        stranger = caller()
        self.assertIsNone(stranger.jobs.get(mine))
        self.assertEqual(stranger.jobs.list_all(all_projects=True), [])
        stranger.jobs.delete(mine)
        self.assertIsNotNone(self.api.jobs.get(mine))
        if OURS:
            self.assertRefused(404, stranger.jobs.update, mine, {'description': 'taken'})

        admin = caller(roles='admin,member')
        found = pages(lambda **page: admin.jobs.list_all(all_projects=True, **page), 100)
        self.assertIn(mine, [job['job_id'] for job in found])
        if OURS:
            self.assertEqual(admin.jobs.list_all(), [])

    def test_a_reader_only_reads(self):
        job_id = self.job()
        reader = caller(project=self.project, roles='reader')
        self.assertEqual(reader.jobs.get(job_id)['job_id'], job_id)
        self.assertEqual(len(reader.jobs.list_all()), 1)
        self.assertRefused(403, self.job, api=reader)
        self.assertRefused(403, reader.jobs.delete, job_id)


class Sessions(RoundTrip):

    def setUp(self):
        super().setUp()
        self.node()

    def session(self, **more):
        return self.api.sessions.create(dict({
            'description': 'both at once', 'hold_off': 60, 'schedule': {'schedule_interval': '2 hours'}}, **more))

    def test_create_get_update_list_delete(self):
        session_id = self.session()
        document = self.api.sessions.get(session_id)
        self.assertHas(document, {
            'session_id': session_id, 'project_id': self.project, 'description': 'both at once',
            'hold_off': 60, 'session_tag': 0})
        self.assertHas(document['schedule'], {'schedule_interval': '2 hours'})
        self.assertEqual(self.api.sessions.list_all(), [document])
        self.assertEqual(self.api.sessions.list(), [document])
        self.assertIsNotNone(self.api.sessions.update(session_id, {'description': 'changed'}))
        self.assertHas(self.api.sessions.get(session_id), {'description': 'changed', 'hold_off': 60})
        self.api.sessions.delete(session_id)
        self.assertIsNone(self.api.sessions.get(session_id))
        self.assertEqual(self.api.sessions.list_all(), [])

    def test_search_and_pages(self):
        ids = [self.session(description='number %d' % number) for number in range(7)]
        found = [session['session_id'] for session in pages(self.api.sessions.list_all, 3)]
        self.assertEqual(sorted(found), sorted(ids))
        (session,) = self.api.sessions.list_all(search={'match': [{'session_id': ids[4]}]})
        self.assertEqual(session['description'], 'number 4')
        if OURS:
            (session,) = self.api.sessions.list(search=utils.prepare_search('NUMBER 6'))
            self.assertEqual(session['session_id'], ids[6])

    def test_two_jobs_run_together(self):
        session_id = self.session()
        jobs = [self.job(), self.job()]
        for job_id in jobs:
            self.api.sessions.add_job(session_id, job_id)
            job = self.api.jobs.get(job_id)
            self.assertHas(job, {'session_id': session_id, 'session_tag': 0})
            self.assertEqual(job['job_schedule']['schedule_interval'], '2 hours')
        self.assertEqual(set(self.api.sessions.get(session_id)['jobs']), set(jobs))

        first, second = jobs
        start, end = self.api.sessions.start_session, self.api.sessions.end_session
        self.assertEqual(start(session_id, first, 0), {'result': 'success', 'session_tag': 1})
        self.assertEqual(start(session_id, second, 0), {'result': 'success', 'session_tag': 1})
        self.assertEqual(start(session_id, first, 1), {'result': 'hold-off', 'session_tag': 1})
        self.assertRefused(400, start, session_id, first, 5)
        session = self.api.sessions.get(session_id)
        self.assertHas(session, {'status': 'running', 'session_tag': 1})
        self.assertEqual({job['status'] for job in session['jobs'].values()}, {'running'})

        self.assertHas(end(session_id, first, 1, 'success'), {'result': 'success', 'session_tag': 1})
        self.assertEqual(self.api.sessions.get(session_id)['status'], 'running')
        end(session_id, second, 1, 'fail')
        session = self.api.sessions.get(session_id)
        self.assertHas(session, {'status': 'completed', 'result': 'fail'})
        self.assertEqual([session['jobs'][job_id]['result'] for job_id in jobs], ['success', 'fail'])
        self.assertEqual({job['status'] for job in session['jobs'].values()}, {'completed'})

        self.api.sessions.remove_job(session_id, first)
        self.assertEqual(set(self.api.sessions.get(session_id)['jobs']), {second})
        job = self.api.jobs.get(first)
        self.assertHas(job, {'session_id': '', 'session_tag': 0})
        self.assertEqual(job['job_schedule']['event'], 'stop')

    def test_what_is_not_there(self):
        session_id, job_id = self.session(), self.job()
        self.assertIsNone(self.api.sessions.get(unique()))
        if OURS:
            self.assertRefused(404, self.api.sessions.add_job, session_id, unique())
            self.assertRefused(404, self.api.sessions.add_job, unique(), job_id)
            self.assertRefused(404, self.api.sessions.start_session, unique(), job_id, 0)


class Backups(RoundTrip):

    def metadata(self, **more):
        return dict({
            'backup_name': 'etc', 'container': '/var/backups', 'hostname': 'node-1', 'client_id': 'node-1',
            'time_stamp': 1795341600, 'curr_backup_level': 0, 'own_key': {'kept': True}}, **more)

    def test_create_get_update_list_delete(self):
        backup_id = self.api.backups.create(self.metadata())
        document = self.api.backups.get(backup_id)
        self.assertHas(document, {'backup_id': backup_id, 'project_id': self.project})
        self.assertHas(document['backup_metadata'], self.metadata())
        self.assertEqual(self.api.backups.list(), [document])
        changed = self.api.backups.update(backup_id, {'status': 'error'})
        self.assertEqual(changed['backup_id'], backup_id)
        self.assertEqual(self.api.backups.get(backup_id)['status'], 'error')
        self.api.backups.delete(backup_id)
        self.assertIsNone(self.api.backups.get(backup_id))
        self.assertEqual(self.api.backups.list(), [])
        if OURS:
            self.assertRefused(404, self.api.backups.delete, backup_id)

    def test_a_document_that_is_none(self):
        self.assertRefused(400, self.api.backups.create, {'backup_name': 'etc'})

    def test_search_and_pages(self):
        ids = [self.api.backups.create(self.metadata(time_stamp=1795341600 + hour, backup_name='b%d' % hour))
               for hour in range(6)]

        def found(**search):
            return [backup['backup_id'] for backup in self.api.backups.list(search=search)]

        self.assertEqual(sorted(b['backup_id'] for b in pages(self.api.backups.list, 4)), sorted(ids))
        self.assertEqual(found(match=[{'backup_name': 'b3'}]), [ids[3]])
        self.assertEqual(found(match=[{'backup_id': ids[2]}]), [ids[2]])
        if OURS:
            self.assertEqual(sorted(found(time_before=1795341601)), sorted(ids[:2]))
            self.assertEqual(sorted(found(time_after=1795341604)), sorted(ids[4:]))


if __name__ == '__main__':
    arguments = sys.argv[1:]
    OURS = '--freezer-api-19' not in arguments
    arguments = [argument for argument in arguments if argument != '--freezer-api-19']
    if not arguments:
        sys.exit(__doc__)
    URL = arguments.pop(0)
    unittest.main(argv=[sys.argv[0]] + arguments, verbosity=1)
