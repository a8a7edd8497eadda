"""The golden databases and the steps that create them. build.py runs the steps."""
from collections import namedtuple

# name: the file without its extension; engine: mysql or sqlite; charset: that of the new database
# steps: ("sync", release), ("seed", release, options…), ("create-all", release), ("sql", statement)
Shape = namedtuple("Shape", "letter name engine charset about steps")

HEAD = "19.0.0"
LEGACY_PATH = "/usr/lib/python3/dist-packages/freezer_api/db/sqlalchemy/migrate_repo"


def fresh(release, *options, charset="utf8"):
    """Tables of a release with rows. The stored path of its scripts is replaced by the usual one."""
    path = []
    if int(release.split(".")[0]) < 16:
        path = [("sql", f"UPDATE migrate_version SET repository_path = '{LEGACY_PATH}'")]
    return [("sync", release), *path, ("seed", release, f"charset={charset}", *options)]


def stamp(revision):
    """The manual steps of an operator if upstream's sync stops at the first revision."""
    return [
        ("sql", "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
                "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"),
        ("sql", f"INSERT INTO alembic_version (version_num) VALUES ('{revision}')"),
    ]


UPSTREAM = [("sync", HEAD)]

SHAPES = [
    Shape("A", "a-7.0.0", "mysql", "utf8mb3", "The first release with SQL.", fresh("7.0.0", "large")),
    Shape("B", "b-7.2.0", "mysql", "utf8mb3", "actionmode; 7.1.0 has the same code.", fresh("7.2.0")),
    Shape("C", "c-8.0.0", "mysql", "utf8mb3",
          "path_to_backup; with the CHECKs of SQLAlchemy 1.3.", fresh("8.0.0", "large")),
    Shape("C", "c-15.0.0", "mysql", "utf8mb3",
          "The same migrations under SQLAlchemy 1.4: no CHECK.", fresh("15.0.0")),
    Shape("C'", "c1-8.0.0-sync-19.0.0", "mysql", "utf8mb3",
          "C after the failed sync of 19.0.0.", fresh("8.0.0") + UPSTREAM),
    Shape("C'", "c1-15.0.0-sync-16.0.0", "mysql", "utf8mb3",
          "C after the failed sync of 16.0.0.", fresh("15.0.0") + [("sync", "16.0.0")]),
    Shape("C''", "c2-15.0.0-stamped-e74c32f034c5", "mysql", "utf8mb3",
          "C, stamped by hand at the point from which upstream's sync would continue.", fresh("15.0.0") + stamp("e74c32f034c5")),
    Shape("C''", "c2-15.0.0-stamped-sync-19.0.0", "mysql", "utf8mb3",
          "The one before, carried to head by 19.0.0: head's columns, C's widths.",
          fresh("15.0.0", "no-wide-actions") + stamp("e74c32f034c5") + UPSTREAM),
    Shape("C''", "c2-8.0.0-stamped-7a3b9c1d2e4f", "mysql", "utf8mb3",
          "C with head's stamp and nothing else: the stamp says nothing about the tables.",
          fresh("8.0.0") + stamp("7a3b9c1d2e4f")),
    Shape("D", "d-7.0.0-sync-19.0.0", "mysql", "utf8mb3",
          "A carried to head by 19.0.0; no job needed an action created.",
          fresh("7.0.0", "no-created-actions") + UPSTREAM),
    Shape("D", "d-7.2.0-sync-19.0.0", "mysql", "utf8mb3",
          "B carried to head by 19.0.0.", fresh("7.2.0", "large") + UPSTREAM),
    Shape("E", "e-7.0.0-utf8mb4-sync-19.0.0", "mysql", "utf8mb4",
          "A in a database of today's usual character set; the sync of 19.0.0 stops at job_actions.",
          fresh("7.0.0") + UPSTREAM),
    Shape("E", "e-7.2.0-latin1-sync-19.0.0", "mysql", "latin1",
          "B in a latin1 database; the sync of 19.0.0 stops at job_actions.", fresh("7.2.0") + UPSTREAM),
    Shape("E", "e-18.0.0-then-utf8mb4-sync-19.0.0", "mysql", "utf8mb3",
          "F whose database was altered to utf8mb4 between the releases; the sync of 19.0.0 stops at job_actions.",
          fresh("18.0.0") + [("sql", "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")] + UPSTREAM),
    Shape("E'", "e1-7.0.0-sync-19.0.0", "mysql", "utf8mb3",
          "A with jobs that need an action created; the sync of 19.0.0 stops in the middle of job_actions.",
          fresh("7.0.0") + UPSTREAM),
    Shape("F", "f-16.0.0", "mysql", "utf8mb3", "Fresh 16.0.0.", fresh("16.0.0")),
    Shape("F", "f-18.0.0", "mysql", "utf8mb3", "Fresh 18.0.0.", fresh("18.0.0", "large")),
    Shape("F", "f-18.0.0-utf8mb4", "mysql", "utf8mb4",
          "Fresh 18.0.0 in a utf8mb4 database.", fresh("18.0.0", charset="utf8mb4")),
    Shape("F", "f-18.0.0-latin1", "mysql", "latin1",
          "Fresh 18.0.0 in a latin1 database: the tables are latin1.", fresh("18.0.0", charset="latin1")),
    Shape("F→G", "g-18.0.0-sync-19.0.0", "mysql", "utf8mb3",
          "F carried to head by 19.0.0: the result of an upgrade without errors.", fresh("18.0.0") + UPSTREAM),
    Shape("G", "g-19.0.0", "mysql", "utf8mb3", "Fresh 19.0.0.", fresh(HEAD, "large")),
    Shape("G", "g-19.0.0-utf8mb4", "mysql", "utf8mb4",
          "Fresh 19.0.0 in a utf8mb4 database.", fresh(HEAD, charset="utf8mb4")),
    Shape("H", "h-19.0.0", "mysql", "utf8mb4",
          "The models' create_all: jobs.client_id refers to clients.id, which holds the uuid. The rows were "
          "written with foreign_key_checks = 0, as a restored dump would.",
          [("create-all", HEAD), ("seed", HEAD, "charset=utf8mb4", "models")]),
    Shape("I", "i-empty", "mysql", "utf8mb4", "Nothing.", []),
    Shape("F", "f-18.0.0", "sqlite", None, "Fresh 18.0.0.", fresh("18.0.0", charset="utf8mb4")),
    Shape("F→G", "g-18.0.0-sync-19.0.0", "sqlite", None,
          "F carried to head by 19.0.0.", fresh("18.0.0", charset="utf8mb4") + UPSTREAM),
    Shape("G", "g-19.0.0", "sqlite", None, "Fresh 19.0.0.", fresh(HEAD, charset="utf8mb4")),
    Shape("H", "h-19.0.0", "sqlite", None,
          "The models' create_all; SQLite does not look at foreign keys unless told to.",
          [("create-all", HEAD), ("seed", HEAD, "charset=utf8mb4", "models")]),
    Shape("I", "i-empty", "sqlite", None, "Nothing.", []),
]

RELEASES = ["7.0.0", "7.2.0", "8.0.0", "15.0.0", "16.0.0", "18.0.0", HEAD]
