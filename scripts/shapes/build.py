#!/usr/bin/env python3
"""Creates golden databases with every table layout of the releases of freezer-api, and checks them.

    scripts/shapes/build.py --url mysql://user:password@127.0.0.1:3306 [--dir target/shapes] [--only a-7.0.0 …]
    scripts/shapes/build.py --url … --check        only load the committed dumps and dump them again

Each release has its own virtual environment (Python 3.11, with the versions in requirements/), and its own code
creates the tables and writes the rows. The databases are called shape_*. The user must be allowed to create and
drop them. The dumps are written to crates/freezer-store/tests/shapes. The list of shapes is in shapes.py.
"""
import argparse
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import shapes  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COLLATIONS = {"utf8mb3": "utf8mb3_general_ci", "utf8mb4": "utf8mb4_general_ci", "latin1": "latin1_swedish_ci"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", required=True, help="mysql:// URL of a server of one's own, without a database")
    parser.add_argument("--dir", type=Path, default=ROOT / "target" / "shapes", help="for environments and logs")
    parser.add_argument("--out", type=Path, default=ROOT / "crates" / "freezer-store" / "tests" / "shapes")
    parser.add_argument("--only", nargs="+", help="names of shapes; the README is then left as it is")
    parser.add_argument("--check", action="store_true", help="make nothing, check what is there")
    parser.add_argument("--python", default="python3.11", help="the interpreter for the environments")
    return parser.parse_args()


def python_of(directory, release):
    return directory / f"venv-{release}" / "bin" / "python"


def install(directory, python, releases):
    """Creates the missing environments."""
    for release in releases:
        pins = HERE / "requirements" / f"{release}.txt"
        done = directory / f"venv-{release}" / "complete"
        if done.exists() and done.read_text() == pins.read_text():
            continue
        print(f"installing freezer-api {release}", flush=True)
        subprocess.run([python, "-m", "venv", "--clear", done.parent], check=True)
        subprocess.run([python_of(directory, release), "-m", "pip", "install", "--quiet", "--no-deps",
                        "--requirement", pins], check=True, timeout=1800)
        done.write_text(pins.read_text())


class Builder:
    """Creates the shapes one after the other."""

    def __init__(self, options):
        import dump

        self.dump = dump
        self.options = options
        self.server = dump.connect(options.url)

    def database(self, name, charset):
        """Creates an empty database."""
        self.drop(name)
        dump = self.dump
        dump.rows(self.server, f"CREATE DATABASE {name} CHARACTER SET {charset} COLLATE {COLLATIONS[charset]}")
        return dump.connect(self.options.url, name)

    def drop(self, name):
        self.dump.rows(self.server, f"DROP DATABASE IF EXISTS {name}")

    def step(self, kind, target, *options, conf, log):
        """Runs a step in the environment of the release. The output goes to the log."""
        command = [python_of(self.options.dir, target), "-W", "ignore", HERE / "release.py", kind, conf, *options]
        environment = {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                             env=environment, check=False)
        with log.open("a") as file:
            file.write(f"$ {kind} {target} {' '.join(options)}: exit code {ran.returncode}\n{ran.stdout}")
        if ran.returncode != 0:
            raise SystemExit(f"{kind} of {target} ended with {ran.returncode}:\n{ran.stdout[-2000:]}")

    def configuration(self, shape, name, foreign_keys):
        """Writes a freezer-api.conf for this database."""
        directory = self.options.dir / "conf"
        directory.mkdir(parents=True, exist_ok=True)
        if shape.engine == "sqlite":
            file = self.options.dir / f"{name}.db"
            file.unlink(missing_ok=True)
            url = f"sqlite:///{file}"
        else:
            address = self.options.url.split("://", 1)[1].rstrip("/")
            checks = "" if foreign_keys else ",foreign_key_checks=0"
            setting = f"SET time_zone='%2B00:00'{checks}".replace(" ", "%20")
            url = f"mysql+pymysql://{address}/{name}?charset=utf8mb4&init_command={setting}"
        log = self.options.dir / "logs" / f"{shape.name}.{shape.engine}.log"
        log.parent.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
        conf = directory / f"{name}.conf"
        conf.write_text(f"[DEFAULT]\nuse_stderr = false\nlog_file = {log}\n[storage]\nbackend = sqlalchemy\n"
                        f"driver = sqlalchemy\n[database]\nconnection = {url}\n")
        return conf, log

    def make(self, shape):
        """Creates a shape. Returns its statements."""
        name = "shape_" + shape.name.replace("-", "_").replace(".", "_")
        conf, log = self.configuration(shape, name, foreign_keys=shape.letter != "H")
        if shape.engine == "sqlite":
            connection = sqlite3.connect(self.options.dir / f"{name}.db", isolation_level=None)
        else:
            connection = self.database(name, shape.charset)
        try:
            for kind, target, *options in shape.steps:
                if kind == "sql":
                    self.dump.rows(connection, target)
                else:
                    self.step(kind, target, *options, conf=conf, log=log)
            if shape.engine == "sqlite":
                return self.dump.dump_sqlite(connection)
            # A step may have changed the character set, but the connection still has the former one.
            connection.select_db(name)
            return self.dump.dump_mysql(connection)
        finally:
            connection.close()
            if shape.engine == "mysql":
                self.drop(name)

    def check(self, path):
        """Loads a dump into an empty database and dumps this database. The dumps must be equal."""
        title, statements = self.dump.read(path)
        if path.name.endswith(".sqlite.sql"):
            again = self.dump.dump_sqlite(self.dump.load_sqlite(statements))
        else:
            connection = self.database("shape_check", "utf8mb4")
            try:
                self.dump.load_mysql(connection, statements)
                connection.select_db("shape_check")
                again = self.dump.dump_mysql(connection)
            finally:
                connection.close()
                self.drop("shape_check")
        if again != statements:
            differs = next((pair for pair in zip(statements, again) if pair[0] != pair[1]), "number of statements")
            raise SystemExit(f"{path}: loaded and dumped again, it is not the same: {differs}")
        return title, statements


def main():
    options = arguments()
    # Other directories run commands with the paths of the environments.
    options.dir, options.out = options.dir.resolve(), options.out.resolve()
    options.dir.mkdir(parents=True, exist_ok=True)
    needed = [shapes.HEAD] if options.check else shapes.RELEASES
    install(options.dir, options.python, needed)
    python = python_of(options.dir, shapes.HEAD)
    if Path(sys.prefix) != python.parent.parent:
        # The dump needs the MySQL driver of this environment.
        os.execv(python, [str(python), *sys.argv])
    builder = Builder(options)
    options.out.mkdir(parents=True, exist_ok=True)
    for shape in shapes.SHAPES:
        if options.check or (options.only and shape.name not in options.only):
            continue
        print(f"{shape.name} ({shape.engine})", flush=True)
        statements = builder.make(shape)
        path = options.out / f"{shape.name}.{shape.engine}.sql"
        builder.dump.write(path, f"Shape {shape.letter}: {shape.about}", statements)
        if shape.name == f"g-{shapes.HEAD}":
            (options.out / f"head.{shape.engine}.txt").write_text(builder.dump.layout(statements))
    files = {path.name: builder.check(path) for path in sorted(options.out.glob("*.sql"))}
    print(f"{len(files)} dumps load, and dump again identically")
    if not options.check and not options.only:
        from readme import readme

        version = builder.dump.rows(builder.server, "SELECT VERSION()")[0][0]
        (options.out / "README.md").write_text(readme(files, version, HERE / "requirements"))


if __name__ == "__main__":
    main()
