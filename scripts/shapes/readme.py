"""Generates the README.md of the golden databases, with tables and numbers from the dumps."""
import re

import shapes
from dump import counts

TABLES = ["clients", "actions", "action_reports", "sessions", "jobs", "backups", "user_credentials", "job_actions"]

HEADING = """# Golden databases

Every table layout that releases of freezer-api have left in the field, made by the released packages themselves.
`db sync` must bring each of them to head with its data intact. All files here are made by `scripts/shapes/build.py`
(this one too): change the script, not the files.

## Format

* The first line is a comment. After it come statements; each ends with `;` at the end of a line, and no statement
  has that within it. Load a `.mysql.sql` file into an empty database, statement by statement, on one connection and
  in the text protocol: it sets the character set of the **database** first (`ALTER DATABASE`), because new tables
  take theirs from it and shape E depends on that. `.sqlite.sql` files are for SQLite, in the same form.
* `CREATE TABLE` is the output of `SHOW CREATE TABLE` (`sqlite_master`), rows are ordered by primary key.
* Fixed by the script: the ids that releases draw, their clock (rows from 2019-03-01 02:30 on, a minute apart) and
  `migrate_version.repository_path`. No other values of a release are changed.
* MariaDB names CHECKs per table (`CONSTRAINT_1`); MySQL wants such names to be unique in a database, so there they
  are to be dropped when loading the shapes of 7.x and 8.0.0 (not tried on MySQL).
* `head.mysql.txt`, `head.sqlite.txt`: the layout of a fresh 19.0.0 alone, without widths of integers, backquotes
  and table options, for comparing layouts.
"""

PROSE = """
## The rows

Written through each release's API layer (`freezer_api.db.sqlalchemy.api`, and `JobsCollectionResource` for the
actions in jobs) unless "by hand" is said. That layer hands JSON over as bytes, in every release: in SQLite these are
**BLOB values in TEXT columns**; only rows by hand are text there.

Three projects, users of 32 and 36 characters; of 64 in backups everywhere, in clients and actions from 16.0.0, in
jobs and sessions from 19.0.0. Each table has soft-deleted rows, rows by hand with NULL in `deleted` (`hand-*`,
mostly `hand-*-deleted-null`) and with NULL in `created_at` (`hand-*-created-null`). Texts have `ä` and, where the
tables can hold it, `☕` and an emoji; JSON that a release wrote is ASCII with `\\u` escapes, JSON by hand is not.

| table | traps |
|---|---|
| clients | live ones of one (project, client_id): a second one of another user (the API allows it before 19.0.0) and a twin of one user (by hand, as two registrations that meet leave it); hostname of 255 (before 16.0.0) or 128; `client_id` of 255; deleted and registered again; description NULL and empty; capabilities given, and NULL by hand (from 16.0.0); `is_central` (19.0.0) |
| actions | all columns filled; only the required; a deleted one; `backup_metadata` NULL; before 8.0.0 one with `path_to_backup` in the document and NULL in `src_file` (like those of agents) |
| action_reports | one with a log of all 256 bytes and more, and a `report_date`; the others empty, as releases leave them |
| sessions | `job` with two jobs, NULL, `null` (a replaced session), `{}`; every key of a schedule |
| jobs | see below; a client that does not exist; `session_id` NULL and empty; `session_tag` NULL; `schedule` empty; every key of a schedule |
| backups | a document of 20 kB in `a-7.0.0`, `c-8.0.0`, `d-7.2.0-…`, `f-18.0.0` and `g-19.0.0` (MySQL), of 1 kB elsewhere; nested unicode; `job_id` given, NULL; `user_name` NULL (before 16.0.0), empty, with `ü`; status `creating`, `error` (19.0.0) |
| user_credentials | 19.0.0: live, deleted with its job, of no job, `deleted` NULL |
| job_actions | 19.0.0: in order; deleted, `deleted` NULL, `position` NULL, one action twice (by hand) |

`jobs.job_actions` before 19.0.0, by description of the job:

| description | holds |
|---|---|
| job…; actions of others; user id of 36 | entries whose action exists |
| no actions | `[]` |
| null or empty string | `null` (7.0.0), `""` (later) |
| deleted | a deleted job with an action |
| not JSON | a text cut short |
| SQL NULL; empty text; an object | NULL; the empty text; `{}` |
| no action name, no id | entries without a name or an id, `{}`, `"text"`, `null`: nothing to create an action from |
| no action name, unknown id | the same with an id of no action |
| gaps, one action twice, … | a link twice, a nameless entry between, another project's action, a deleted action |
| SQL text with unicode | JSON by hand, not escaped; its action exists |
| unknown id; the same unknown id; no id | an action must be created: once for both jobs; not in `d-7.0.0-…` |
| no id, too long for the columns | C only (not in `…-stamped-sync-…`): a path of 300 and a priority that is no number |

## The effects of upstream's `db sync`

All runs ended with exit code 0.

| file | printed | left |
|---|---|---|
| c1-* | `(1054, "Unknown column 'src_file' in 'actions'")` | C, and `alembic_version` at 1333cef214d9 |
| c2-…-stamped-sync-19.0.0 | nothing | head with the widths of C: `user_id` of 36 in clients, actions and action_reports, `hostname` of 255 NOT NULL |
| d-7.0.0-… | nothing | head with `mode`, without `actionmode`; the same widths |
| d-7.2.0-… | nothing | head with the same widths |
| e-* | `(1005, … errno: 150 "Foreign key constraint is incorrectly formed")` | 4f8c679a1d3b: `user_credentials` and `clients.is_central` are there, `backups.user_name` is gone, `jobs.job_actions` (the column) is there, the table is not; tables made on the way have the database's character set |
| e1-* | `Unconsumed column names: actionmode` | 4f8c679a1d3b as in E, and the table job_actions with both indexes, empty |
| g-18.0.0-sync-… | nothing | head |

If it succeeded, links to deleted actions and to other projects' actions exist, `job_actions.created_at` is NULL,
positions have gaps, jobs that are deleted keep their links, and documents that are no JSON are gone. An action that
the step created has NULL in `path_to_backup` if the entry had `src_file` (7.x; the document keeps it), and no
action report.

## Making them again

    scripts/mariadb start
    scripts/shapes/build.py --url "$(scripts/mariadb url)"            # all, some minutes; needs PyPI the first time
    scripts/shapes/build.py --url "$(scripts/mariadb url)" --check    # only loads and dumps again

Two runs give the same files.
"""


def stamps(statements):
    """Returns the versions in migrate_version and alembic_version."""
    text = "\n".join(statements)
    old = re.search(r"INSERT INTO .migrate_version. VALUES \(.*, (\d+)\)", text)
    new = re.search(r"INSERT INTO .alembic_version. VALUES \('(\w+)'\)", text)
    return " + ".join(match[1] for match in (old, new) if match) or "—"


def steps(shape):
    """Describes the steps that created a shape."""
    words = []
    for kind, target, *options in shape.steps:
        if kind == "sql":
            if "alembic_version (version_num) VALUES" in target:
                words.append("stamped by hand")
            elif target.startswith("ALTER DATABASE"):
                words.append("database altered to utf8mb4")
        else:
            extra = [o for o in options if o.startswith("no-")]
            words.append({"sync": f"{target} db sync", "seed": "rows" + "".join(f" ({o})" for o in extra),
                          "create-all": f"{target} models' create_all"}[kind])
    return ", ".join(words) or "—"


def readme(files, version, requirements):
    """Returns the whole text. `files` maps the name of a file to its title and statements."""
    out = [HEADING, "## The files\n",
           "Rows: " + ", ".join(TABLES) + ".\n",
           "| file | shape | made by | database | stamps | rows | description |", "|---|---|---|---|---|---|---|"]
    for shape in shapes.SHAPES:
        name = f"{shape.name}.{shape.engine}.sql"
        statements = files[name][1]
        found = counts(statements)
        numbers = " ".join(str(found.get(table, "–")) for table in TABLES)
        out.append(f"| `{name}` | {shape.letter} | {steps(shape)} | {shape.charset or 'UTF-8'} | {stamps(statements)} "
                   f"| {numbers} | {shape.about} |")
    out += [PROSE, "## Versions\n", f"Server: {version.split('-')[0]} (MariaDB). Python 3.11. All packages of each "
            "environment are pinned in `scripts/shapes/requirements`; those that matter for tables:\n",
            "| freezer-api | SQLAlchemy | oslo.db | alembic | sqlalchemy-migrate | PyMySQL |", "|---|---|---|---|---|---|"]
    for release in shapes.RELEASES:
        text = (requirements / f"{release}.txt").read_text()
        pins = {line.split("==")[0].lower(): line.split("==")[1] for line in text.split("\n") if "==" in line}
        wanted = ["freezer-api", "sqlalchemy", "oslo.db", "alembic", "sqlalchemy-migrate", "pymysql"]
        cells = [pins.get(name, "—") for name in wanted]
        if int(release.split(".")[0]) < 16:
            cells[3] = "—"
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"
