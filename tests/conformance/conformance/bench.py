"""The two services side by side: started, handed out, and ended with everything that was made for them."""
import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from .database import Database
from .decided import Decided
from .exchange import Caller
from .services import Ours, Service, Theirs
from .story import Story


class Bench(contextlib.AbstractContextManager):
    """Databases and processes of one run."""

    def __init__(self, server: str, binaries: pathlib.Path) -> None:
        self.server, self.binaries = server, binaries
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='conformance-'))
        self.databases: list[Database] = []
        self.services: list[Service] = []

    def database(self, charset: str) -> Database:
        """A new, empty database."""
        self.databases.append(Database(self.server, charset))
        return self.databases[-1]

    def theirs(self, name: str, database: Database, sync: bool = True) -> Caller:
        """freezer-api 19.0.0 on a database."""
        return self.start(Theirs(name, self.directory, database.url()), sync)

    def ours(self, name: str, database: Database, sync: bool = True) -> Caller:
        """This service on a database."""
        return self.start(Ours(name, self.directory, database.url(), self.binaries), sync)

    def start(self, service: Service, sync: bool) -> Caller:
        self.services.append(service)
        if sync:
            service.manage('db', 'sync')
        service.start()
        return Caller(service.name, service.port)

    def apart(self, decided: Decided) -> Story:
        """Each service on a database of its own: theirs as upstream's installer makes it, ours as ours."""
        databases = [self.database('utf8mb3'), self.database('utf8mb4')]
        return Story(self.theirs('theirs', databases[0]), self.ours('ours', databases[1]), databases, decided)

    def logs(self) -> Iterator[str]:
        """The ends of the services' logs."""
        for service in self.services:
            if service.log.exists():
                yield '%s:\n%s' % (service.name, service.log.read_text(errors='replace')[-2000:])

    def __exit__(self, *arguments: object) -> None:
        for service in self.services:
            service.stop()
        for database in self.databases:
            database.drop()
        shutil.rmtree(self.directory, ignore_errors=True)
