"""The calls that freezer-web-ui makes, by its own code: its wrapper of the API, without Horizon's pages.

The imports of Django and Horizon are replaced. The released python-freezerclient below the wrapper is real. It sends the
identity in headers, as the services without Keystone require it.
"""
import importlib
import os
import sys
import types
from collections.abc import Callable
from typing import Any

from .compare import Comparison
from .exchange import Caller, Request
from .story import Story, Surprise

VERSION = '19.0.0'
ACTION = {
    'action': 'backup', 'mode': 'fs', 'backup_name': 'of etc', 'path_to_backup': '/etc', 'container': '/var/b',
    'storage': 'local', 'max_retries': 3, 'max_retries_interval': 5, 'mandatory': True, 'action_id': '',
}
WHEN = {'schedule_start_date': '2030-01-02T03:04:05', 'schedule_interval': '5 days',
        'schedule_end_date': '2031-01-02T03:04:05'}


def stand_in(name: str, **contents: Any) -> None:
    """A replacement for a module of Django or Horizon, with the used names."""
    module = types.ModuleType(name)
    module.__path__ = []
    module.__dict__.update(contents)
    sys.modules[name] = module


def load() -> types.ModuleType:
    """The wrapper, as the package has it."""

    def same(value: Any, *_: Any, **__: Any) -> Any:
        return value

    stand_in('django')
    stand_in('django.conf', settings=types.SimpleNamespace(OPENSTACK_KEYSTONE_URL='http://127.0.0.1:1/v3'))
    stand_in('django.urls', reverse=same)
    stand_in('django.template')
    stand_in('django.template.defaultfilters', date=same)
    stand_in('django.utils')
    stand_in('django.utils.translation', gettext_lazy=same)
    stand_in('horizon', get_user_home=same)
    stand_in('horizon.exceptions')
    stand_in('horizon.utils')
    stand_in('horizon.utils.memoized', memoized=same)
    sys.modules['horizon'].exceptions = sys.modules['horizon.exceptions']
    sys.path.append(os.environ['CONFORMANCE_WEB_UI'])
    return importlib.import_module('freezer_ui.api.api')


class Session:
    """The part of a keystoneauth session that python-freezerclient uses."""

    def get_token(self) -> str:
        return 'none'

    def get_project_id(self) -> str:
        return 'p1'


def connect(api: types.ModuleType) -> None:
    """Lets the wrapper make clients without Keystone."""
    from freezerclient import utils
    from freezerclient.v2 import client
    made = utils.create_headers_for_request
    utils.create_headers_for_request = lambda token: dict(
        made(token), **{'X-User-Id': 'u1', 'X-Project-Id': 'p1', 'X-Roles': 'member,reader'})
    api.freezer_client = types.SimpleNamespace(
        Client=lambda **credentials: client.Client(session=Session(), endpoint=credentials['endpoint']))


def request_to(caller: Caller) -> Any:
    """A request of Horizon from a user whose catalog contains the service."""
    url = 'http://127.0.0.1:%d' % caller.port
    catalog = [{'type': 'backup', 'endpoints': [{'interface': 'public', 'url': url}]}]
    user = types.SimpleNamespace(token=types.SimpleNamespace(id='none'), project_id='p1', domain_name='Default',
                                 service_catalog=catalog)
    return types.SimpleNamespace(user=user)


def plain(value: Any) -> Any:
    """Returns the result of a call in the form of JSON."""
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    return {key: plain(inner) for key, inner in vars(value).items()}


def calls(api: types.ModuleType, request: Any, seen: dict[str, Any]) -> list[tuple[str, Callable[[], Any]]]:
    """The calls of the pages, in a possible order of a user. `seen` contains the results of earlier calls."""
    action, job, session = api.Action(request), api.Job(request), api.Session(request)
    client, backup = api.Client(request), api.Backup(request)

    def job_id() -> str:
        return sorted(job.list(json=True), key=lambda one: one['description'])[0]['job_id']

    def an_action() -> str:
        return seen['action.create']

    def a_session() -> str:
        return seen['session.create']

    def backup_id() -> str:
        return backup.list(json=True)[0]['backup_id']

    return [
        ('client.list', lambda: client.list()), ('client.list json', lambda: client.list(json=True)),
        ('client.get', lambda: client.get('node-1')), ('client.list search', lambda: client.list(search='node-2')),
        ('action.create', lambda: action.create(dict(ACTION))), ('action.get', lambda: action.get(an_action())),
        ('action.list', lambda: action.list()), ('action.list json', lambda: action.list(json=True)),
        ('action.update', lambda: action.update({**ACTION, 'backup_name': 'b2'}, an_action())),
        ('action.get updated', lambda: action.get(an_action(), json=True)),
        ('action.list search', lambda: action.list(search='no such text')),
        ('job.create', lambda: job.create({**WHEN, 'actions': an_action(), 'description': 'a', 'clients': ['node-1']})),
        ('job.list', lambda: job.list()), ('job.get', lambda: job.get(job_id(), json=True)),
        ('job.actions', lambda: job.actions(job_id())), ('job.actions api', lambda: job.actions(job_id(), api=True)),
        ('job.start', lambda: job.start(job_id())), ('job.stop', lambda: job.stop(job_id())),
        ('job.update', lambda: job.update(job_id(), {**WHEN, 'job_id': job_id(), 'description': 'a2'})),
        ('job.update_actions', lambda: job.update_actions(job_id(), an_action())),
        ('job.get updated', lambda: job.get(job_id(), json=True)),
        ('job.clone', lambda: job.clone(job_id())), ('job.list cloned', lambda: job.list()),
        ('job.delete_action', lambda: job.delete_action('%s===%s' % (an_action(), job_id()))),
        ('job.actions deleted', lambda: job.actions(job_id())),
        ('job.list search', lambda: job.list(search='no such text')),
        ('session.create', lambda: session.create({**WHEN, 'description': 's'})),
        ('session.list', lambda: session.list()), ('session.get', lambda: session.get(a_session(), json=True)),
        ('session.add_job', lambda: session.add_job(a_session(), job_id())),
        ('session.jobs', lambda: session.jobs(a_session())),
        ('session.update', lambda: session.update({**WHEN, 'description': 's2'}, a_session())),
        ('session.get updated', lambda: session.get(a_session())),
        ('session.remove_job', lambda: session.remove_job(a_session(), job_id())),
        ('session.jobs removed', lambda: session.jobs(a_session())),
        ('backup.list', lambda: backup.list()), ('backup.get', lambda: backup.get(backup_id())),
        ('backup.restore', lambda: backup.restore({'backup_id': backup_id(), 'client': 'node-1', 'path': '/tmp/r'})),
        ('backup.delete', lambda: backup.delete(backup_id())), ('backup.list deleted', lambda: backup.list()),
        ('session.delete', lambda: session.delete(a_session())), ('session.list deleted', lambda: session.list()),
        ('job.delete', lambda: job.delete(job_id())), ('action.delete', lambda: action.delete(an_action())),
        ('client.delete', lambda: client.delete('node-2')), ('client.list deleted', lambda: client.list(json=True)),
    ]


#: The documents that nodes and agents have registered before a user opens the pages.
BEFORE = [
    Request(1, 'POST', '/v2/p1/clients', {'client_id': 'node-1', 'hostname': 'node-1', 'uuid': '1' * 32}),
    Request(2, 'POST', '/v2/p1/clients', {'client_id': 'node-2', 'hostname': 'node-2', 'uuid': '2' * 32}),
    Request(3, 'POST', '/v2/p1/backups', {
        'container': 'c', 'hostname': 'h', 'backup_name': 'nightly', 'time_stamp': 1500000000, 'storage': 'local'}),
]


def tried(call: Callable[[], Any]) -> Any:
    """Returns the result of a call, or a description of its error."""
    try:
        result = plain(call())
        if isinstance(result, list):
            # the order of lists is not told
            result.sort(key=lambda one: str(isinstance(one, dict) and (one.get('_description') or one.get('description'))))
        return result
    except Exception as error:
        return {'failed': '%s: %s' % (type(error).__name__, str(error)[:300])}


def compare(story: Story) -> tuple[int, list[Surprise]]:
    """Makes every call with both services. Returns the number of calls and the undecided differences.

    If a call fails with this service, the difference is always undecided.
    """
    api = load()
    connect(api)
    story.prepare(BEFORE)
    seen: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    sides = [calls(api, request_to(caller), results)
             for caller, results in zip((story.theirs, story.ours), seen)]
    surprises: list[Surprise] = []
    for (name, theirs), (_, ours) in zip(*sides):
        seen[0][name], seen[1][name] = tried(theirs), tried(ours)
        request = Request(0, 'CALL', '/web-ui', label=name)
        comparison = Comparison(story.symbols)
        comparison.values('result', seen[0][name], seen[1][name])
        if isinstance(seen[1][name], dict) and 'failed' in seen[1][name]:
            comparison.found.append('fails: ' + seen[1][name]['failed'])
        for difference in comparison.found:
            if difference.startswith('fails') or story.decided.find(request, difference, lambda: 'present') is None:
                surprises.append(Surprise(request, difference))
    return len(sides[0]), surprises
