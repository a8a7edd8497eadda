"""Databases of the comparison: made, emptied between two stories, and dropped at the end."""
import urllib.parse
import uuid

import pymysql

TABLES = ('job_actions', 'user_credentials', 'action_reports', 'jobs', 'actions', 'sessions', 'clients', 'backups')


class Database:
    """One database on the server of a URL mysql://user:password@host:port."""

    def __init__(self, server: str, charset: str) -> None:
        parts = urllib.parse.urlsplit(server)
        self.name = 'conf_' + uuid.uuid4().hex[:12]
        self.charset = charset
        self.place = '%s:%s@%s:%d' % (parts.username, parts.password, parts.hostname, parts.port or 3306)
        self.connection = pymysql.connect(
            host=parts.hostname, port=parts.port or 3306, user=parts.username,
            password=urllib.parse.unquote(parts.password or ''), autocommit=True)
        self.run('CREATE DATABASE `%s` CHARACTER SET %s' % (self.name, charset))
        self.run('USE `%s`' % self.name)

    def url(self) -> str:
        """As both services take it."""
        return 'mysql+pymysql://%s/%s?charset=%s' % (self.place, self.name, self.charset)

    def run(self, statement: str) -> None:
        """Runs a statement without a result."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement)

    def empty(self) -> None:
        """Removes every document."""
        self.run('SET FOREIGN_KEY_CHECKS = 0')
        for table in TABLES:
            self.run('DELETE FROM `%s`' % table)
        self.run('SET FOREIGN_KEY_CHECKS = 1')

    def drop(self) -> None:
        """Removes the database."""
        self.run('DROP DATABASE `%s`' % self.name)
        self.connection.close()
