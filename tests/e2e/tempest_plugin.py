"""Freezer's tempest plugin against this service, against the Python one, or against both, with a real Keystone.

    tempest_plugin.py --mysql URL --programs DIR --venvs DIR --work DIR [--python-service PYTHON [--both]] [--regex R]

Runs the API tests, then those of the `freezer` command; prints each test with its result, and at the end the scores.
`--python-service` names the python of an environment with freezer-api 19.0.0 (scripts/venv makes one): then that
service is tested instead, or, with `--both`, after this one. `--regex` runs other tests than those two sets.

Exit code 0: every test passed; with `--both`, every test that passes against 19.0.0 passes against this service, and
all came to an end. Else 1.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from stack import HERE, REGION, Process, Stack, free_port

OURS, THEIRS = 'this service', 'freezer-api 19.0.0'
# Tests, and how many run at once. The rest of the plugin needs agents, object storage and virtual machines.
SETS = {
    'API': ('freezer_tempest_plugin.tests.freezer_api', 2),
    # by name, one after the other: `clientshow` shows the client that `clientregister` has registered
    'freezerclient': ('freezer_tempest_plugin.tests.freezerclient', 1),
}
# a busy machine takes minutes for the API tests
SECONDS_PER_SET = 1800
# The tests of the command create these files in a shared place. They fail if an interrupted run has left one.
PLUGIN_FILES = (Path('/tmp/test_client.json'), Path('/tmp/test_action.json'))
# The python of the environment runs this, because it has the libraries. It prints a line for each test, and failures to standard error.
RESULTS = '''
import subunit, sys, testtools
def tell(test):
    if test['status'] == 'exists':
        return
    print(test['status'], test['id'].split('[')[0])
    if test['status'] != 'success':
        print(test['status'], test['id'], file=sys.stderr)
        for name, detail in sorted(test['details'].items()):
            print('--', name, detail.as_text(), sep='\\n', file=sys.stderr)
results = testtools.StreamToDict(tell)
results.startTestRun()
subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name='output').run(results)
# tells of the tests that have begun and not ended, too
results.stopTestRun()
'''


def configuration(stack: Stack, work: Path) -> str:
    """tempest.conf."""
    return '\n'.join((
        '[DEFAULT]', 'log_dir = %s' % work, 'log_file = tempest.log',
        '[oslo_concurrency]', 'lock_path = %s/lock' % work,
        '[auth]', 'use_dynamic_credentials = true', 'create_isolated_networks = false', 'tempest_roles = member',
        'admin_username = admin', 'admin_password = ' + stack.keystone.admin.password, 'admin_project_name = admin',
        'admin_domain_name = Default',
        '[identity]', 'uri_v3 = %s/v3' % stack.keystone.url, 'auth_version = v3', 'region = ' + REGION,
        'v3_endpoint_type = public',
        '[service_available]', 'cinder = false', 'glance = false', 'neutron = false', 'nova = false', 'swift = false',
        'freezer = true',
        '[backup]', 'catalog_type = backup', 'region = ' + REGION, 'endpoint_type = publicURL', ''))


def start_python_service(stack: Stack, python: Path, config: Path, url: str) -> Process:
    """freezer-api 19.0.0 on its own tables."""
    etc = python.parent.parent / 'etc' / 'freezer' / 'freezer-paste.ini'
    with config.open('a') as file:
        file.write('[paste_deploy]\nconfig_file = %s\n' % etc)
    env = stack.environment(stack.work / 'home')
    manage = [str(python.parent / 'freezer-manage'), '--config-file', str(config), 'db', 'sync']
    subprocess.run(manage, env=env, capture_output=True, timeout=120, check=True)
    port = url.rsplit(':', 1)[1]
    process = stack.start([str(python), '-B', str(HERE / 'python_service.py'), str(config), port], 'python', env)
    stack.until_it_answers(process, url)
    return process


def run_tests(stack: Stack, venv: Path, name: str, regex: str, at_once: int) -> dict[str, str]:
    """Runs tests and gives the status of each; `name` is that of their directory and log below `work`."""
    work = stack.work / name
    (work / 'lock').mkdir(parents=True)
    (work / 'tempest.conf').write_text(configuration(stack, work))
    packages = next((venv / 'lib').glob('python3*/site-packages'))
    (work / '.stestr.conf').write_text(
        '[DEFAULT]\ntest_path=%s/tempest/test_discover\ntop_dir=%s\n' % (packages, packages))
    env = stack.environment(stack.work / 'home', TEMPEST_CONFIG_DIR=str(work))
    # `freezer` is that of the clients' environment
    env['PATH'] = '%s:%s' % (venv / 'bin', env['PATH'])
    command = [str(venv / 'bin' / 'tempest'), 'run', '--config-file', str(work / 'tempest.conf'), '--regex', regex]
    subprocess.run([str(venv / 'bin' / 'stestr'), 'init'], cwd=work, env=env, timeout=120, check=True)
    listed = subprocess.run([*command, '--list-tests'], cwd=work, env=env, capture_output=True, text=True, timeout=300)
    statuses = {line.split('[')[0]: 'not run' for line in listed.stdout.splitlines() if '.tests.' in line}
    if listed.returncode or not statuses:
        raise RuntimeError('no tests %s:\n%s%s' % (regex, listed.stdout, listed.stderr))
    # in a session of its own, because tempest ends without its workers; its log is the stream of results
    run = stack.start([*command, '--subunit', '--concurrency', str(at_once)], name, env, work, work / 'errors.log')
    try:
        run.child.wait(SECONDS_PER_SET)
    except subprocess.TimeoutExpired:
        print('given up after %d seconds' % SECONDS_PER_SET)
    stack.stop(run)
    with run.log.open('rb') as stream, (work / 'failures.log').open('wb') as failures:
        told = subprocess.run([str(venv / 'bin' / 'python'), '-c', RESULTS], stdin=stream, stdout=subprocess.PIPE,
                              stderr=failures, timeout=120)
    for line in told.stdout.decode().splitlines():
        status, test = line.split(' ', 1)
        statuses[test] = {'success': 'passed', 'inprogress': 'not ended'}.get(status, status)
    return statuses


def try_service(stack: Stack, service: str, url: str, options: argparse.Namespace) -> dict[str, dict[str, str]]:
    """Runs all sets against a service on tables of its own; prints and gives the status of each test, by set."""
    short = 'ours' if service == OURS else 'theirs'
    config = stack.config(short, int(url.rsplit(':', 1)[1]), stack.database(short), stack.password_login())
    if service == THEIRS:
        process = start_python_service(stack, options.python_service, config, url)
    else:
        stack.sync(config)
        process = stack.start_service(short, config, url)
    sets = {'chosen': (options.regex, 1)} if options.regex else SETS
    statuses = {}
    for name, (regex, at_once) in sets.items():
        print('%s, %s tests:' % (service, name), flush=True)
        for path in PLUGIN_FILES:
            path.unlink(missing_ok=True)
        statuses[name] = run_tests(stack, options.venvs / 'tempest', 'tempest-%s-%s' % (short, name), regex, at_once)
        for test, status in sorted(statuses[name].items()):
            print('  %-9s %s' % (status, test.removeprefix('freezer_tempest_plugin.tests.')), flush=True)
    stack.stop(process)
    return statuses


def print_scores(results: dict[str, dict[str, dict[str, str]]]) -> None:
    """A row for each service and set, and the tests that did not pass."""
    print('%-20s %-14s %6s %6s' % ('', '', 'tests', 'passed'))
    for service, sets in results.items():
        for name, statuses in sets.items():
            passed = sum(status == 'passed' for status in statuses.values())
            print('%-20s %-14s %6d %6d' % (service, name, len(statuses), passed))
            for test, status in sorted(statuses.items()):
                if status != 'passed':
                    print('    %s: %s' % (status, test.rsplit('.', 1)[-1]))


def satisfied(results: dict[str, dict[str, dict[str, str]]]) -> bool:
    """Whether the run ends with exit code 0."""
    tests = {service: {test: status for statuses in sets.values() for test, status in statuses.items()}
             for service, sets in results.items()}
    if any(not statuses or set(statuses.values()) & {'not run', 'not ended'} for statuses in tests.values()):
        return False
    if len(tests) == 1:
        return all(status == 'passed' for statuses in tests.values() for status in statuses.values())
    worse = [test for test, status in tests[THEIRS].items()
             if status == 'passed' and tests[OURS].get(test) != 'passed']
    print('\n'.join('passes against %s only: %s' % (THEIRS, test) for test in worse)
          or 'Every test that passes against %s passes against %s.' % (THEIRS, OURS))
    return not worse


def main() -> int:
    """Reads the arguments, runs, cleans up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--mysql', required=True)
    for name in ('programs', 'venvs', 'work'):
        parser.add_argument('--' + name, required=True, type=Path)
    parser.add_argument('--python-service', type=Path)
    parser.add_argument('--both', action='store_true')
    parser.add_argument('--regex')
    options = parser.parse_args()
    if options.both and not options.python_service:
        parser.error('--both needs --python-service')
    if shutil.which('freezer', path='/usr/local/bin'):
        print('/usr/local/bin/freezer is there, and the plugin looks there first: this is not the pinned command')
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    venvs = {name: options.venvs / name for name in ('client', 'keystone')}
    stack = Stack(options.work, options.mysql, options.programs, venvs)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # This is an exception, so the running processes are stopped.
        signal.signal(number, lambda *_: sys.exit(1))
    services = [OURS, THEIRS] if options.both else [THEIRS] if options.python_service else [OURS]
    try:
        # nothing is changed behind its back here, and without a cache most of the run is waiting for it
        stack.start_keystone(cache=True)
        url = 'http://127.0.0.1:%d' % free_port()
        stack.seed(url)
        results = {service: try_service(stack, service, url, options) for service in services}
    finally:
        stack.close()
        for path in PLUGIN_FILES:
            path.unlink(missing_ok=True)
    print_scores(results)
    print('details: %s' % (options.work / 'tempest-*' / 'failures.log'))
    return 0 if satisfied(results) else 1


if __name__ == '__main__':
    os.umask(0o077)
    sys.exit(main())
