"""Tests the permissions of each kind of token, and the behaviour while Keystone is not available."""

import datetime
from typing import Any

from checks import Checks, wait
from rest import Answer, Api, Keystone, User, request
from stack import Stack, free_port


class Door:
    """Knocks at the service's door with one token or another."""

    def __init__(self, url: str, checks: Checks) -> None:
        self.url, self.checks = url, checks

    def ask(self, project_id: str, token: str | None, method: str = 'GET', body: Any = None,
            path: str = 'jobs') -> Answer:
        """One request in a project."""
        return request(method, '%s/v2/%s/%s' % (self.url, project_id, path), token, body)

    def opens(self, name: str, project_id: str, token: str | None, status: int, **more: Any) -> None:
        """Checks the status. For 401, it also checks the address of Keystone."""
        answer = self.ask(project_id, token, **more)
        held = answer.status == status
        if status == 401:
            held = held and answer.headers.get('www-authenticate', '').startswith('Keystone uri="http')
        self.checks.that('%s: %d' % (name, status), held, answer)


def password(user: User) -> dict[str, Any]:
    """The login of a user, without a scope."""
    return {'methods': ['password'], 'password': {'user': {
        'name': user.name, 'domain': {'name': 'Default'}, 'password': user.password}}}


def run(stack: Stack, url: str, checks: Checks) -> None:
    """All kinds."""
    checks.begin('kinds of tokens')
    keystone, users, door = stack.keystone, stack.users, Door(url, checks)
    demo, other = users['demo'], users['other']
    token = keystone.token(demo)
    door.opens('no token', demo.project_id, None, 401)
    door.opens('nonsense', demo.project_id, 'nonsense', 401)
    door.opens('a token with a letter more', demo.project_id, token + 'x', 401)
    door.opens("a member's token", demo.project_id, token, 200)
    door.opens("the same in somebody else's project", other.project_id, token, 403)
    door.opens('the same, changing something there', other.project_id, token, 403, method='POST', path='sessions',
               body={'description': 'x'})
    reader = keystone.token(users['reader'])
    door.opens("a reader's token", demo.project_id, reader, 200)
    door.opens('a reader who changes something', demo.project_id, reader, 403, method='POST', path='sessions',
               body={'description': 'x'})
    for name, user, scope in (('unscoped', demo, 'unscoped'), ('domain', demo, {'domain': {'id': 'default'}}),
                              ('system', keystone.admin, {'system': {'all': True}})):
        door.opens('scope %s' % name, demo.project_id, keystone.token(user, scope), 403)
    revoked(keystone, door, demo)
    of_trusts(stack, door)
    application_credentials(keystone, door, demo)


def revoked(keystone: Keystone, door: Door, demo: User) -> None:
    """Before and after the service has seen it."""
    for seen in (False, True):
        token = keystone.token(demo)
        if seen:
            door.opens('before it is revoked', demo.project_id, token, 200)
        answer = request('DELETE', keystone.url + '/v3/auth/tokens', token, headers={'X-Subject-Token': token})
        door.checks.equal('revoked', answer.status, 204)
        # token_cache_time is three seconds
        wait(15, lambda token=token: door.ask(demo.project_id, token).status == 401)
        door.opens('revoked %s the service saw it' % ('after' if seen else 'before'), demo.project_id, token, 401)


def trust_token(stack: Stack, seconds: int | None) -> str:
    """A token that the service's user makes from a trust of demo, which ends after so many seconds."""
    keystone, demo, freezer = stack.keystone, stack.users['demo'], stack.users['freezer']
    trust: dict[str, Any] = {'trustor_user_id': demo.id, 'trustee_user_id': freezer.id, 'project_id': demo.project_id,
                             'impersonation': False, 'roles': [{'name': 'member'}]}
    if seconds is not None:
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        trust['expires_at'] = end.strftime('%Y-%m-%dT%H:%M:%S.000000Z')
    answer = keystone.call('POST', 'OS-TRUST/trusts', {'trust': trust}, keystone.token(demo))
    if answer.status != 201:
        raise RuntimeError('trust: %s %s' % (answer.status, answer.body))
    scope = {'OS-TRUST:trust': {'id': answer.body['trust']['id']}}
    return keystone.login({'identity': password(freezer), 'scope': scope})[0]


def of_trusts(stack: Stack, door: Door) -> None:
    """Made from a trust, which may end: the trust's end is the token's."""
    keystone, demo, freezer = stack.keystone, stack.users['demo'], stack.users['freezer']
    token = trust_token(stack, None)
    door.opens('made from a trust', demo.project_id, token, 200)
    door.opens('the same in another project', stack.users['other'].project_id, token, 403)
    # who registers as central is asked by its role
    answer = door.ask(freezer.project_id, keystone.token(freezer), 'POST', {
        'client_id': 'central-by-hand', 'hostname': 'central-by-hand', 'is_central': True}, 'clients')
    door.checks.equal('a central client', answer.status, 201)
    central = {'client_id': 'central-by-hand', 'job_schedule': {}, 'job_actions': [
        {'freezer_action': {'action': 'backup', 'mode': 'fs', 'backup_name': 'x', 'container': '/x',
                            'path_to_backup': '/x'}}]}
    door.opens('the same for a job that needs a trust', demo.project_id, token, 422, method='POST', body=central)
    short = trust_token(stack, 15)
    wait(60, lambda: door.ask(demo.project_id, short).status == 401)
    door.opens('made from a trust that has ended', demo.project_id, short, 401)


def credential(keystone: Keystone, user: User, role: str, name: str,
               rules: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """An application credential of the user with one of their roles, as a login."""
    body: dict[str, Any] = {'name': name, 'roles': [{'name': role}]}
    if rules is not None:
        body['access_rules'] = rules
    answer = keystone.call('POST', 'users/%s/application_credentials' % user.id, {'application_credential': body},
                           keystone.token(user))
    if answer.status != 201:
        raise RuntimeError('application credential: %s %s' % (answer.status, answer.body))
    made = answer.body['application_credential']
    return {'id': made['id'], 'secret': made['secret']}


def application_credentials(keystone: Keystone, door: Door, demo: User) -> None:
    """Of a user: whole, and limited to some requests."""
    def token(name: str, rules: list[dict[str, str]] | None = None) -> str:
        login = credential(keystone, demo, 'member', name, rules)
        return keystone.login({'identity': {'methods': ['application_credential'], 'application_credential': login}})[0]

    door.opens('of an application credential', demo.project_id, token('whole'), 200)
    rule = {'service': 'backup', 'method': 'GET', 'path': '/v2/*/jobs'}
    limited = token('limited', [rule])
    door.opens('with access rules, a request they allow', demo.project_id, limited, 200)
    door.opens('with access rules, another', demo.project_id, limited, 401, path='clients')


def service_logins(stack: Stack, database: str, checks: Checks) -> None:
    """The service that logs in with an application credential, and with one that Keystone refuses."""
    checks.begin("the service's own login")
    demo = stack.users['demo']
    token = stack.keystone.token(demo)
    login = credential(stack.keystone, stack.users['freezer'], 'admin', 'service')
    for name, secret, status in (('application credential', login['secret'], 200), ('wrong secret', 'wrong', 503)):
        port = free_port()
        options = '\n'.join(('auth_type = v3applicationcredential', 'application_credential_id = ' + login['id'],
                             'application_credential_secret = ' + secret))
        url = 'http://127.0.0.1:%d' % port
        config = stack.config('service-' + name.split()[0], port, database, options)
        process = stack.start_service('service-' + name.split()[0], config, url)
        Door(url, checks).opens(name, demo.project_id, token, status)
        checks.equal('it ends when told to', process.stop(), 0)
        log = process.log.read_text()
        checks.that('its log has neither token nor secret', token not in log and login['secret'] not in log)


def keystone_away(stack: Stack, url: str, checks: Checks, api: Api) -> None:
    """Keystone stops and starts again beside the running service."""
    checks.begin('Keystone away')
    demo, door = stack.users['demo'], Door(url, checks)
    known, new = stack.keystone.token(demo), stack.keystone.token(demo)
    assert stack.keystone_process is not None
    door.opens('a token that the service knows', demo.project_id, known, 200)
    stack.keystone_process.child.kill()
    stack.keystone_process.child.wait(20)
    door.opens('the same while Keystone is away', demo.project_id, known, 200)
    answer = door.ask(demo.project_id, new)
    checks.equal('another: come again', (answer.status, answer.headers.get('retry-after')), (503, '5'))
    stack.resume_keystone()
    door.opens('the other once Keystone is back', demo.project_id, new, 200)
    api.token = ''
    checks.that('and a new login', api.get('jobs') is not None)
