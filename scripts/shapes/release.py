#!/usr/bin/env python3
"""Runs in the virtual environment of one release of freezer-api, with its `db sync`, its models and its API layer.

    release.py sync       CONF            run `freezer-manage db sync`
    release.py create-all CONF            create the tables of the models without migrations
    release.py seed       CONF [option]   write rows to every table, see seed.py

This script does not change the code of the release. It only replaces random ids (uuid4) and the clock, which
would differ in each run. Databases, dumps and the order of steps are in build.py.
"""
import hashlib
import itertools
import sys
import types
import uuid
from datetime import datetime, timedelta

# The time of the first row. Each row is a minute later than the row before it.
START = datetime(2019, 3, 1, 2, 30, 0)


def fix_ids(label):
    """Replaces uuid4 with a counter."""
    numbers = itertools.count(1)

    def uuid4():
        return uuid.UUID(hashlib.md5(f"{label}/{next(numbers)}".encode()).hexdigest(), version=4)

    uuid.uuid4 = uuid4


class Clock:
    """The clock of the release. The models of all releases use oslo.utils."""

    def __init__(self, now):
        from oslo_utils import timeutils

        self.now = now
        timeutils.utcnow = lambda with_timezone=False: self.now

    def tick(self):
        self.now += timedelta(minutes=1)

    def time(self):
        """Returns the seconds since 1970."""
        return (self.now - datetime(1970, 1, 1)).total_seconds()


def sync(conf):
    """Runs the command of the release. Its exit code is always 0, even after an error."""
    Clock(datetime(2026, 9, 1, 4, 0, 0))
    from freezer_api.cmd import manage

    sys.argv = ["freezer-manage", "--config-file", conf, "db", "sync"]
    return manage.main()


def service(conf):
    """Returns the API layer of the release, configured like its service."""
    from freezer_api.common import config
    from freezer_api.db import manager
    from oslo_config import cfg

    config.parse_args(args=["--config-file", conf])
    driver = manager.get_db_driver(cfg.CONF.storage.driver, backend=cfg.CONF.storage.backend)
    driver.get_api()
    from freezer_api.db.sqlalchemy import api

    return api, driver


def main():
    command, conf, options = sys.argv[1], sys.argv[2], sys.argv[3:]
    fix_ids(command)
    if command == "sync":
        return sync(conf)
    api, driver = service(conf)
    if command == "create-all":
        from freezer_api.db.sqlalchemy import models

        models.register_models(driver.get_engine())
        return None
    from freezer_api.common import elasticv2_utils

    clock = Clock(START)
    elasticv2_utils.time = types.SimpleNamespace(time=clock.time)
    import seed

    seed.run(api, clock, options)
    return None


if __name__ == "__main__":
    sys.exit(main())
