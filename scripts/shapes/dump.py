"""Converts databases to text and back: SHOW CREATE TABLE and rows in a fixed order, for MariaDB, MySQL and SQLite.

A dump is a list of statements. Each ends with a semicolon at the end of a line. No other line of a statement may end
with a semicolon. build.py and shapes.py contain the list of databases and the steps that create them.
"""
import re
import sqlite3
from datetime import datetime
from urllib.parse import urlsplit

import pymysql

ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\x1a": "\\Z"}


def connect(url, database=None):
    """Opens a connection to the server of a mysql:// URL, in UTC."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname, port=parts.port or 3306, user=parts.username or "", password=parts.password or "",
        database=database, charset="utf8mb4", autocommit=True, connect_timeout=10, read_timeout=60,
        init_command="SET time_zone = '+00:00'")


def rows(connection, statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def mysql_value(value):
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, datetime):
        return f"'{value:%Y-%m-%d %H:%M:%S}'"
    if isinstance(value, str):
        return "'" + "".join(ESCAPES.get(letter, letter) for letter in value) + "'"
    raise TypeError(f"no literal for {type(value)}")


def insert(table, values, quote):
    """Returns the INSERT of one row. The columns are in the order of the CREATE statement."""
    return f"INSERT INTO {quote}{table}{quote} VALUES ({', '.join(values)})"


def dump_mysql(connection):
    """Returns the statements that create this database from an empty one."""
    charset, collation = rows(connection, "SELECT @@character_set_database, @@collation_database")[0]
    out = [f"ALTER DATABASE CHARACTER SET {charset} COLLATE {collation}",
           "SET NAMES utf8mb4", "SET time_zone = '+00:00'", "SET foreign_key_checks = 0"]
    tables = sorted(row[0] for row in rows(connection, "SHOW TABLES"))
    for table in tables:
        out.append(rows(connection, f"SHOW CREATE TABLE `{table}`")[0][1])
        key = [row[4] for row in rows(connection, f"SHOW KEYS FROM `{table}` WHERE Key_name = 'PRIMARY'")]
        order = ", ".join(f"BINARY `{name}`" for name in key)
        for row in rows(connection, f"SELECT * FROM `{table}` ORDER BY {order}"):
            out.append(insert(table, map(mysql_value, row), "`"))
    return out + ["SET foreign_key_checks = 1"]


def sqlite_value(value):
    if isinstance(value, str):
        # A line break becomes char(10), because a statement ends at a line break.
        parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\n")]
        return " || char(10) || ".join(parts)
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return "NULL" if value is None else repr(value)


def dump_sqlite(connection):
    """Returns the statements that create this database from an empty one."""
    out = ["PRAGMA foreign_keys = OFF"]
    made = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL "
                              "ORDER BY type = 'index', name").fetchall()
    for kind, table, statement in made:
        out.append(re.sub(r"\s+\n", "\n", statement))
        if kind != "table":
            continue
        info = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
        key = ", ".join(f'"{column[1]}"' for column in info if column[5])
        for row in connection.execute(f'SELECT * FROM "{table}" ORDER BY {key}'):
            out.append(insert(table, map(sqlite_value, row), '"'))
    return out


def write(path, title, statements):
    for statement in statements:
        if ";\n" in statement:
            raise ValueError(f"{path}: a statement holds what separates statements: {statement[:80]}")
    path.write_text(f"-- {title}\n" + "".join(statement + ";\n" for statement in statements), encoding="utf-8")


def read(path):
    """Returns the title and the statements of a dump."""
    title, text = path.read_text(encoding="utf-8").split("\n", 1)
    return title.removeprefix("-- "), text.split(";\n")[:-1]


def load_mysql(connection, statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def load_sqlite(statements):
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    return connection


def counts(statements):
    """Returns the number of rows of each table."""
    found = {}
    for statement in statements:
        match = re.match(r"CREATE TABLE [`\"]?(\w+)", statement)
        if match:
            found.setdefault(match[1], 0)
        match = re.match(r"INSERT INTO [`\"](\w+)", statement)
        if match:
            found[match[1]] += 1
    return found


def layout(statements):
    """Returns the CREATE statements without the parts that depend on the settings of a server, to compare layouts."""
    out = []
    for statement in statements:
        if not statement.startswith("CREATE "):
            continue
        statement = re.sub(r"\bint\(\d+\)", "int", statement.replace("`", ""))
        statement = re.sub(r"\) ENGINE=\w+.*$", ")", statement)
        statement = re.sub(r"[ \t]+", " ", statement)
        out.append("\n".join(line.strip() for line in statement.split("\n")))
    return "\n\n".join(out) + "\n"
