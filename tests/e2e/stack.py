"""The programs under test: Keystone, this service and schedulers as processes, each with its files, ended by its id."""

import base64
import os
import subprocess
import time
import urllib.parse
from pathlib import Path

import pymysql

from harness.processes import Process, free_port, quiet_environment
from rest import Keystone, User, request

HERE = Path(__file__).parent
REGION = 'RegionOne'


class Stack:
    """Everything that one run starts; `close` takes it away again."""

    def __init__(self, work: Path, mysql: str, programs: Path, venvs: dict[str, Path]) -> None:
        self.work, self.programs, self.venvs = work, programs, venvs
        self.mysql = urllib.parse.urlsplit(mysql)
        self.processes: list[Process] = []
        self.databases: list[str] = []
        self.users: dict[str, User] = {}
        self.keystone = Keystone('', User('admin', 'admin-password', 'admin'))
        self.keystone_process: Process | None = None

    def close(self) -> None:
        """Ends the processes, last first, and drops the databases."""
        for process in reversed(self.processes):
            process.stop()
        for name in self.databases:
            self._sql('DROP DATABASE IF EXISTS `%s`' % name)

    def _sql(self, statement: str) -> None:
        place = self.mysql
        connection = pymysql.connect(host=place.hostname or '127.0.0.1', port=place.port or 3306,
                                     user=place.username or '', password=place.password or '', connect_timeout=20)
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)

    def database(self, name: str) -> str:
        """An empty database of this run's own, as SQLAlchemy names it."""
        full = 'freezer_e2e_%d_%s' % (os.getpid(), name)
        self._sql('CREATE DATABASE `%s` CHARACTER SET utf8mb4' % full)
        self.databases.append(full)
        return 'mysql+pymysql://%s/%s?charset=utf8mb4' % (self.mysql.netloc, full)

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """Returns an environment without the variables of OpenStack clients and proxies."""
        kept = quiet_environment()
        home.mkdir(parents=True, exist_ok=True)
        kept.update(HOME=str(home), PATH='%s:%s' % (self.venvs['client'] / 'bin', os.environ['PATH']),
                    PYTHONDONTWRITEBYTECODE='1')
        kept.update(more)
        return kept

    def start(self, command: list[str], name: str, env: dict[str, str], cwd: Path | None = None,
              errors: Path | None = None) -> Process:
        """Starts a program that `close` ends."""
        process = Process(command, self.work / (name + '.log'), env, cwd, errors)
        self.processes.append(process)
        return process

    def stop(self, process: Process) -> None:
        """Ends a program before the others."""
        process.stop()
        self.processes.remove(process)

    def until_it_answers(self, process: Process, url: str, seconds: int = 90) -> None:
        """Waits until a program answers over HTTP. Otherwise it fails with the log of the program."""
        deadline = time.monotonic() + seconds
        while request('GET', url).status == 0:
            if process.ended() or time.monotonic() > deadline:
                raise RuntimeError('%s does not answer:\n%s' % (url, process.tail()))
            time.sleep(0.1)

    def start_keystone(self, cache: bool = False) -> None:
        """Keystone with fernet tokens on the server's database, with its first administrator.

        Without a cache, changes apply immediately, but Keystone needs about 200 SQL statements for a request.
        """
        etc = self.work / 'keystone'
        for keys in ('fernet-keys', 'credential-keys'):
            (etc / keys).mkdir(parents=True)
            for number in ('0', '1'):
                (etc / keys / number).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
        port = free_port()
        self.keystone.url = 'http://127.0.0.1:%d' % port
        (etc / 'keystone.conf').write_text('\n'.join((
            '[DEFAULT]', 'use_stderr = true', 'public_endpoint = %s/' % self.keystone.url,
            '[database]', 'connection = ' + self.database('keystone'),
            '[token]', 'provider = fernet', '[fernet_tokens]', 'key_repository = %s/fernet-keys' % etc,
            '[fernet_receipts]', 'key_repository = %s/fernet-keys' % etc,
            '[credential]', 'key_repository = %s/credential-keys' % etc,
            # a login need not take a quarter of a second here
            '[identity]', 'password_hash_rounds = 4',
            '[cache]', 'enabled = %s' % str(cache).lower(), 'backend = dogpile.cache.memory',
            '[oslo_policy]', 'enforce_scope = true', '')))
        env = self.environment(self.work / 'home', OS_KEYSTONE_CONFIG_DIR=str(etc))
        url = self.keystone.url + '/v3'
        programs = self.venvs['keystone'] / 'bin'
        for arguments in (['db_sync'], [
                'bootstrap', '--bootstrap-password', self.keystone.admin.password, '--bootstrap-region-id', REGION,
                '--bootstrap-admin-url', url, '--bootstrap-internal-url', url, '--bootstrap-public-url', url]):
            command = [str(programs / 'keystone-manage'), '--config-file', str(etc / 'keystone.conf'), *arguments]
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=150)
            if done.returncode:
                raise RuntimeError('keystone-manage %s:\n%s' % (arguments[0], done.stderr[-3000:]))
        self.keystone_command = [str(programs / 'python'), '-B', str(HERE / 'keystone_server.py'), str(port)]
        self.keystone_env = env
        self.resume_keystone()

    def resume_keystone(self) -> None:
        """Starts Keystone, the first time or again."""
        self.keystone_process = self.start(self.keystone_command, 'keystone', self.keystone_env)
        self.until_it_answers(self.keystone_process, self.keystone.url + '/v3')

    def seed(self, backup_url: str) -> None:
        """Projects, users with their roles, and this service in the catalog."""
        keystone = self.keystone
        projects = {name: keystone.make('project', {'name': name, 'domain_id': 'default'})
                    for name in ('demo', 'other', 'service')}
        roles = {name: keystone.find('role', name) or keystone.make('role', {'name': name})
                 for name in ('member', 'reader', 'service', 'admin')}
        for name, project, granted in (('demo', 'demo', ('member',)), ('mate', 'demo', ('member',)),
                                       ('reader', 'demo', ('reader',)), ('other', 'other', ('member',)),
                                       ('freezer', 'service', ('service', 'admin'))):
            user = User(name, name + '-password', project, project_id=projects[project])
            user.id = keystone.make('user', {'name': name, 'domain_id': 'default', 'password': user.password})
            for role in granted:
                keystone.call('PUT', 'projects/%s/users/%s/roles/%s' % (user.project_id, user.id, roles[role]))
            self.users[name] = user
        keystone.call('PUT', 'domains/default/users/%s/roles/%s' % (self.users['demo'].id, roles['member']))
        service = keystone.make('service', {'type': 'backup', 'name': 'freezer'})
        for interface in ('public', 'internal', 'admin'):
            keystone.make('endpoint', {'service_id': service, 'interface': interface, 'url': backup_url,
                                       'region_id': REGION})

    def config(self, name: str, port: int, database: str, login: str) -> Path:
        """A freezer-api.conf as operators write it."""
        path = self.work / (name + '.conf')
        path.write_text('\n'.join((
            '[DEFAULT]', 'bind_host = 127.0.0.1', 'bind_port = %d' % port,
            '[storage]', 'backend = sqlalchemy', 'driver = sqlalchemy',
            '[database]', 'connection = ' + database,
            '[oslo_policy]', 'enforce_scope = true', 'enforce_new_defaults = true',
            '[keystone_authtoken]', 'www_authenticate_uri = %s/v3' % self.keystone.url,
            'auth_url = %s/v3' % self.keystone.url, 'region_name = ' + REGION,
            'token_cache_time = 3', 'service_token_roles_required = true', login,
            '[centralized_scheduler]', 'enabled = true', '')))
        return path

    def password_login(self) -> str:
        """How the service logs in in most installations."""
        user = self.users['freezer']
        return '\n'.join(('auth_type = password', 'username = ' + user.name, 'password = ' + user.password,
                          'project_name = service', 'user_domain_name = Default', 'project_domain_name = Default'))

    def start_service(self, name: str, config: Path, url: str) -> Process:
        """This service, on a database that has its tables."""
        env = self.environment(self.work / 'home')
        process = self.start([str(self.programs / 'freezer-api'), '--config-file', str(config)], name, env)
        self.until_it_answers(process, url)
        return process

    def sync(self, config: Path) -> None:
        """`freezer-manage db sync`."""
        command = [str(self.programs / 'freezer-manage'), '--config-file', str(config), 'db', 'sync']
        done = subprocess.run(command, env=self.environment(self.work / 'home'), capture_output=True, text=True,
                              timeout=120)
        if done.returncode:
            raise RuntimeError('db sync:\n%s%s' % (done.stdout, done.stderr))

    def client_environment(self, user: User, **more: str) -> dict[str, str]:
        """The variables with which OpenStack's clients log in."""
        return self.environment(
            self.work / 'home', OS_AUTH_URL=self.keystone.url + '/v3', OS_IDENTITY_API_VERSION='3',
            OS_REGION_NAME=REGION, OS_USERNAME=user.name, OS_PASSWORD=user.password,
            OS_PROJECT_NAME=user.project or '', OS_USER_DOMAIN_NAME='Default', OS_PROJECT_DOMAIN_NAME='Default',
            OS_USER_DOMAIN_ID='default', OS_PROJECT_DOMAIN_ID='default', **more)
