"""The released clients against this service, with a real Keystone: everything that `tests/e2e/run` checks.

    main.py --mysql URL --programs DIR --venvs DIR --work DIR [clients] [tokens] [keystone]

Without names of parts, all of them run. The exit code is 0 if every check passes, otherwise 1. If a check fails, the files of
the run stay in the work directory.
"""

import argparse
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import commands
import schedulers
import tokens
from checks import Checks
from rest import Api
from stack import Stack, free_port


PARTS = ('clients', 'tokens', 'keystone')


def everything(stack: Stack, checks: Checks, parts: list[str]) -> None:
    """Starts the services and runs the parts."""
    checks.begin('start')
    stack.start_keystone()
    port = free_port()
    url = 'http://127.0.0.1:%d' % port
    stack.seed(url)
    database = stack.database('api')
    config = stack.config('service', port, database, stack.password_login())
    stack.sync(config)
    service = stack.start_service('service', config, url)
    checks.that('Keystone and the service answer', True)
    api = {name: Api(url, stack.keystone, user) for name, user in stack.users.items()}
    if 'clients' in parts:
        clients(stack, url, api, checks)
    if 'tokens' in parts:
        tokens.run(stack, url, checks)
    if 'keystone' in parts:
        tokens.service_logins(stack, database, checks)
        tokens.keystone_away(stack, url, checks, api['demo'])
    checks.begin('end')
    checks.equal('the service ends when told to', service.stop(), 0)
    log = service.log.read_text()
    secrets = [who.token for who in api.values() if who.token] + [user.password for user in stack.users.values()]
    checks.that('its log has neither tokens nor passwords', not any(secret in log for secret in secrets))
    # Keystone was away for a while, on purpose
    errors = [line for line in log.splitlines() if ' ERROR ' in line and 'Keystone is not available' not in line]
    checks.equal('errors in its log', errors, [])


def clients(stack: Stack, url: str, api: dict[str, Api], checks: Checks) -> None:
    """Runs both schedulers alternately, while a user runs commands."""
    node = schedulers.Node(stack, api['demo'], checks)
    central = schedulers.Central(stack, api['freezer'], [api['demo'], api['other']], checks)

    def both_schedulers() -> None:
        central.begin()
        node.run()
        central.finish(api['mate'])

    typist = Api(url, stack.keystone, stack.users['demo'])
    checks.together(lambda: commands.run(stack, typist, checks), both_schedulers)
    # not beside the others: Keystone does not answer so many in time on a small machine
    old = [old_agent(stack, url, release, checks) for release in ('18.0.0', '15.0.0')]
    checks.together(*(run for run in old if run))


def old_agent(stack: Stack, url: str, release: str, checks: Checks) -> Callable[[], None] | None:
    """The run of an agent of a former release; None, and a remark, if its packages are not installed."""
    venv = 'agent-' + release.split('.')[0]
    if not (stack.venvs[venv] / 'bin' / 'freezer-scheduler').exists():
        print('SKIPPED: an agent of %s: its packages are not installed' % release, flush=True)
        return None
    node = schedulers.OldNode(stack, Api(url, stack.keystone, stack.users['demo']), checks, release, venv)
    return node.run


def main() -> int:
    """Reads the arguments, runs, cleans up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--mysql', required=True, help='mysql://user:password@host:port, who may create databases')
    for name in ('programs', 'venvs', 'work'):
        parser.add_argument('--' + name, required=True, type=Path)
    parser.add_argument('parts', nargs='*', metavar='part', help='; '.join(PARTS))
    options = parser.parse_args()
    parts = options.parts or list(PARTS)
    if not set(parts) <= set(PARTS):
        parser.error('the parts are ' + ', '.join(PARTS))
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    venvs = {name: options.venvs / name for name in ('client', 'keystone', 'agent-15', 'agent-18')}
    stack, checks = Stack(options.work, options.mysql, options.programs, venvs), Checks()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # This is an exception, so the running processes are stopped.
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        checks.guarded(lambda: everything(stack, checks, parts))
    finally:
        stack.close()
    held = checks.table()
    if held:
        shutil.rmtree(options.work, ignore_errors=True)
    else:
        print('files of this run: %s' % options.work)
    return 0 if held else 1


if __name__ == '__main__':
    sys.exit(main())
