"""Connects to each URL of a JSON list as the Python service does, and prints how the connections came."""
import json
import sys

import sqlalchemy


def outcome(url):
    try:
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
        with engine.connect() as connection:
            cipher = connection.execute(sqlalchemy.text("SHOW STATUS LIKE 'Ssl_cipher'")).fetchone()[1]
        return 'encrypted' if cipher else 'plain'
    except Exception as error:
        return f'failed: {type(error).__name__}: {error}'


print(json.dumps([outcome(url) for url in json.load(sys.stdin)]))
