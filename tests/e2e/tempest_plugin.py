"""Freezer's tempest plugin against this service, or against the Python one, with a real Keystone.

    tempest_plugin.py --mysql URL --programs DIR --venvs DIR --work DIR [--python-service PYTHON] [--regex TESTS]

Prints each test with its result. Exit code 0 where all passed, else 1. `--python-service` names the python of an
environment with freezer-api 19.0.0 (scripts/venv makes one): then that service is tested instead.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from stack import HERE, REGION, Stack, free_port

# the rest of the plugin needs agents, object storage and virtual machines
API_TESTS = 'freezer_tempest_plugin.tests.freezer_api'
# run by the environment's own python, which has the library
RESULTS = '''
import subunit, sys, testtools
class Results(testtools.StreamResult):
    def status(self, test_id=None, test_status=None, **_):
        if test_id and test_status not in (None, 'inprogress', 'exists'):
            print(test_status, test_id.split('[')[0])
subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name='output').run(Results())
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


def start_python_service(stack: Stack, python: Path, config: Path, url: str) -> None:
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


def run_tests(stack: Stack, venv: Path, regex: str) -> list[str]:
    """Runs them and gives `result name` of each."""
    work = stack.work / 'tempest'
    (work / 'lock').mkdir(parents=True)
    (work / 'tempest.conf').write_text(configuration(stack, work))
    packages = next((venv / 'lib').glob('python3*/site-packages'))
    (work / '.stestr.conf').write_text(
        '[DEFAULT]\ntest_path=%s/tempest/test_discover\ntop_dir=%s\n' % (packages, packages))
    env = stack.environment(stack.work / 'home', TEMPEST_CONFIG_DIR=str(work))
    env['PATH'] = '%s:%s' % (venv / 'bin', env['PATH'])
    with (stack.work / 'tempest.log').open('wb') as log:
        subprocess.run([str(venv / 'bin' / 'tempest'), 'run', '--config-file', str(work / 'tempest.conf'),
                        '--regex', regex, '--concurrency', '2'], cwd=work, env=env, stdout=log, stderr=log, timeout=800)
    last = subprocess.run([str(venv / 'bin' / 'stestr'), 'last', '--subunit'], cwd=work, env=env, capture_output=True,
                          timeout=120)
    named = subprocess.run([str(venv / 'bin' / 'python'), '-c', RESULTS], input=last.stdout, capture_output=True,
                           timeout=120)
    return sorted(named.stdout.decode().splitlines())


def main() -> int:
    """Reads the arguments, runs, cleans up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--mysql', required=True)
    for name in ('programs', 'venvs', 'work'):
        parser.add_argument('--' + name, required=True, type=Path)
    parser.add_argument('--python-service', type=Path)
    parser.add_argument('--regex', default=API_TESTS)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    venvs = {name: options.venvs / name for name in ('client', 'keystone')}
    stack = Stack(options.work, options.mysql, options.programs, venvs)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # an exception, so that what runs is ended
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        stack.start_keystone()
        port = free_port()
        url = 'http://127.0.0.1:%d' % port
        stack.seed(url)
        config = stack.config('service', port, stack.database('api'), stack.password_login())
        if options.python_service:
            start_python_service(stack, options.python_service, config, url)
        else:
            stack.sync(config)
            stack.start_service('service', config, url)
        results = run_tests(stack, options.venvs / 'tempest', options.regex)
    finally:
        stack.close()
    print('\n'.join(results))
    passed = sum(result.startswith('success ') for result in results)
    print('%d tests, %d passed; details: %s' % (len(results), passed, options.work / 'tempest.log'))
    return 0 if results and passed == len(results) else 1


if __name__ == '__main__':
    os.umask(0o077)
    sys.exit(main())
