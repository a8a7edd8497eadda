"""Prints every live document that the Python service reads from a database, as JSON.

usage: read_database.py CONFIG_FILE

The output is {collection: {id: document or {"unreadable": why}}}. With "sync" as a second argument, the service's own
upgrade is run first; it must find nothing to do.
"""
import json
import sys

from oslo_config import cfg

CONF = cfg.CONF


def main():
    config_file = sys.argv[1]
    from freezer_api.common import config
    config.parse_args(args=['--config-file', config_file])
    from freezer_api.db.sqlalchemy import api, driver, models

    if 'sync' in sys.argv[2:]:
        driver.SQLDriver(backend='sqlalchemy').db_sync()

    def ids(model, column='id'):
        with api.session_for_read() as session:
            rows = api.model_query(session, model).all()
            return [(getattr(row, column), row.project_id) for row in rows]

    def read(function, **key):
        try:
            return function(**key)
        except Exception as error:                     # what is unreadable is a result, too
            return {'unreadable': type(error).__name__}

    documents = {
        'jobs': {i: read(api.get_job, job_id=i, project_id=p) for i, p in ids(models.Job)},
        'actions': {i: read(api.get_action, action_id=i, project_id=p) for i, p in ids(models.Action)},
        'sessions': {i: read(api.get_session, session_id=i, project_id=p) for i, p in ids(models.Session)},
        'backups': {i: read(api.get_backup, backup_id=i, project_id=p) for i, p in ids(models.Backup)},
        'clients': {},
    }
    for client_id, project in ids(models.Client, 'client_id'):
        documents['clients']['%s/%s' % (project, client_id)] = read(
            api.get_client, client_id=client_id, project_id=project)
    json.dump(documents, sys.stdout)


if __name__ == '__main__':
    main()
