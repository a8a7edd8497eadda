"""The rows of a golden database, written through the API layer of the release that runs this.

Some rows of deployments are not written by any release: rows by hand, partly broken documents, two registrations at
the same time. These are written as SQL, see `by_hand` and the comments at its calls. release.py must call this module.
"""
import json
from importlib.metadata import version

from sqlalchemy import text as sql

P1 = "5f3b0c8e1d2a4c6f9e7b8a1d2c3e4f50"
P2 = "a0c4e8d2b6f14a3c8d7e9f0b1a2c3d4e"
P3 = "d41d8cd98f00b204e9800998ecf8427e"
# Keystone's own user ids, its ids in early releases, and ids of users in LDAP
U32 = "0e1c5a7b9d3f4e6a8b2c4d6e8f0a1b3c"
U36 = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
U64 = "9b74c9897bac770ffc029102a200c5de5f4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d"
UNKNOWN_ACTION = "00000000000000000000000000000bad"
UNKNOWN_NAMELESS = "0000000000000000000000000000dead"
NAME_255 = ".".join(letter * 63 for letter in "abcd")

SCHEDULE = {
    "event": "start",
    "status": "scheduled",
    "result": "success",
    "schedule_date": "2019-03-02T03:04:05",
    "schedule_interval": "2 hours",
    "schedule_start_date": "2019-03-01T00:00:00",
    "schedule_end_date": "2029-03-01T00:00:00Z",
    "schedule_year": "2019",
    "schedule_month": "3",
    "schedule_day": "2",
    "schedule_week": "9",
    "schedule_day_of_week": "sat",
    "schedule_hour": "3",
    "schedule_minute": "15",
    "schedule_second": "30",
    "current_pid": 14520,
}


class Seed:
    """One release and the rows that its tables support."""

    def __init__(self, api, clock, options):
        self.api = api
        self.clock = clock
        self.release = tuple(int(part) for part in version("freezer-api").split("."))
        self.charset = next((o.split("=")[1] for o in options if o.startswith("charset=")), "utf8")
        # If the tables are those of 7.0.0, upstream's sync stops at jobs that need a new action, …
        self.creating = "no-created-actions" not in options
        # … and at jobs that no column can store.
        self.wide = "no-wide-actions" not in options
        # This option adds a document of 20 kB. Otherwise the document is small, to keep the files small.
        self.files = 560 if "large" in options else 20
        # The models require sessions.id in every job.
        self.models = "models" in options
        self.engine = api.get_engine()
        self.path = "src_file" if self.release < (8,) else "path_to_backup"
        self.mode = "mode" if self.release < (7, 1) else "actionmode"

    def text(self, ascii_text):
        """Returns a text with the characters that the tables can store."""
        return ascii_text + {
            "latin1": ": Nächtliche Sicherung",
            "utf8": ": Nächtliche Sicherung ☕",
            "utf8mb4": ": Nächtliche Sicherung ☕ 💾",
        }[self.charset]

    def execute(self, statement, **values):
        """Runs one statement without the API layer."""
        with self.engine.begin() as connection:
            if connection.execute(sql(statement), values).rowcount != 1:
                raise SystemExit(f"not one row: {statement} {values}")

    def by_hand(self, table, **values):
        """Inserts a row like a user of a database client."""
        names = ", ".join(values)
        marks = ", ".join(":" + name for name in values)
        self.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", **values)

    def store(self, function, *args, **kwargs):
        """Calls a function of the API layer, a minute after the last call."""
        self.clock.tick()
        return getattr(self.api, function)(*args, **kwargs)

    # clients

    def client(self, project, user, name, **more):
        return self.store("add_client", user_id=user, project_id=project, doc={"client_id": name, **more})

    def clients(self):
        host = "web-1.example.org"
        self.client(P1, U32, "web-1", hostname=host, description=self.text("web"))
        # Two live clients with one name: before 19.0.0, another user of the project gets a second one, …
        if self.release < (19,):
            self.client(P1, U36, "web-1", hostname=host, description="second user")
        # … and two registrations at the same time create a third.
        twin = dict(id="c0ffee00c0ffee00c0ffee00c0ffee00", project_id=P1, user_id=U32, client_id="web-1",
                    hostname=host, description="twin", uuid="c0ffee00c0ffee00c0ffee00c0ffee00", deleted=False,
                    created_at="2019-03-01 02:31:00")
        self.by_hand("clients", **twin)
        longest = NAME_255 if self.release < (16,) else NAME_255[:128]
        self.client(P2, U36, NAME_255, hostname=longest, description="")
        self.client(P3, U32, f"{P3}_db-1", hostname="db-1")
        self.client(P2, U32, "gone-1", hostname="gone-1", description="deleted")
        self.store("delete_client", user_id=U32, project_id=P2, client_id="gone-1")
        self.client(P2, U32, "back-1", hostname="back-1", description="deleted, then registered again")
        self.store("delete_client", user_id=U32, project_id=P2, client_id="back-1")
        self.client(P2, U32, "back-1", hostname="back-1", description="registered again")
        row = dict(project_id=P3, user_id=U32, hostname="hand-1")
        self.by_hand("clients", id="hand-client-deleted-null", client_id="hand-1", uuid="hand-client-deleted-null",
                     created_at="2019-03-02 00:00:00", **row)
        self.by_hand("clients", id="hand-client-created-null", client_id="hand-2", uuid="hand-client-created-null",
                     deleted=False, **row)
        if self.release >= (16,):
            self.client(P3, U64, "ldap-1", hostname="ldap-1", description="user id of 64",
                        supported_actions=["backup"], supported_modes=["fs", "mysql"],
                        supported_storages=["s3"], supported_engines=["rsyncv2"])
            self.by_hand("clients", id="hand-client-hostname-null", client_id="hand-3", user_id=U64,
                         uuid="hand-client-hostname-null", project_id=P3, deleted=False,
                         created_at="2019-03-02 00:01:00")
        if self.release >= (19,):
            self.client(P1, U32, "central-1", hostname="central-1", description="central", is_central=True)

    # actions

    def action(self, project, user, action, **more):
        doc = {"freezer_action": {"action": action, **more.pop("freezer_action", {})}, **more}
        return self.store("add_action", user_id=user, project_id=project, doc=doc)

    def everything(self):
        """Returns an action with a value for every column, and more keys in the document."""
        return {
            "mode": "fs", self.path: "/var/lib/mysql", "backup_name": "nightly", "container": "freezer_backups",
            "timeout": 3600, "priority": 2, "mandatory": True, "log_file": "/var/log/freezer.log",
            "storage": "swift", "engine_name": "tar", "max_level": 14, "no_incremental": False,
            "remove_older_than": 30.5, "description": "Sicherung ☕ 💾", "nested": {"a": [1, None, {"b": "ü"}]},
            "result": "success", "time_elapsed": "12.5",
        }

    def actions(self):
        self.full = self.action(P1, U32, "backup", max_retries=3, max_retries_interval=60,
                                freezer_action=self.everything())
        self.least = self.action(P1, U32, "exec")
        self.other = self.action(P2, U36, "restore", freezer_action={"mode": "fs", "restore_abs_path": "/tmp/ü"})
        self.gone = self.action(P1, U32, "info", freezer_action={"backup_name": "deleted"})
        self.store("delete_action", user_id=U32, project_id=P1, action_id=self.gone)
        if self.path == "src_file":
            # Agents of that time send this: the path is only in the document, not in a column.
            self.action(P2, U32, "backup", freezer_action={"path_to_backup": "/home", "mode": "fs"})
        if self.release >= (16,):
            self.action(P3, U64, "admin", freezer_action={"remove_older_than": 365})
        row = dict(project_id=P3, user_id=U32, action="backup")
        self.by_hand("actions", id="hand-action-deleted-null", created_at="2019-03-02 00:00:00", **row)
        self.by_hand("actions", id="hand-action-created-null", deleted=False, **{self.mode: "mysql"},
                     backup_metadata=json.dumps({"note": self.text("raw")}, ensure_ascii=False), **row)
        # add_action writes an empty report for each action, and no release changes it later.
        self.execute("UPDATE action_reports SET report_date = :date, log = :log WHERE id = :id", id=self.full,
                     date="2019-03-02 03:20:00", log=bytes(range(256)) + b"\x1f\x8b\xff\xfe;\n'\\")
        self.by_hand("action_reports", id="hand-report-deleted-null", project_id=P3, user_id=U32, result="fail",
                     time_elapsed="1.0", created_at="2019-03-02 00:00:00")
        self.by_hand("action_reports", id="hand-report-created-null", project_id=P3, user_id=U32, deleted=False)

    # sessions

    def session(self, project, user, **more):
        doc = {"schedule": {"schedule_interval": "1 days"}, **more}
        return self.store("add_session", user_id=user, project_id=project, doc=doc)

    def sessions(self):
        self.member_of = self.session(P1, U32, description=self.text("session"), hold_off=60, schedule=dict(SCHEDULE))
        self.session(P1, U32, description="without jobs")
        replaced = self.session(P2, U36, description="to be replaced")
        self.store("replace_session", user_id=U36, project_id=P2, session_id=replaced,
                   doc={"description": "replaced", "schedule": {"schedule_date": "2019-03-02T03:04:05"},
                        "session_tag": 7})
        gone = self.session(P3, U32, description="deleted")
        self.store("delete_session", user_id=U32, project_id=P3, session_id=gone)
        if self.release >= (19,):
            self.session(P3, U64, description="user id of 64")
        row = dict(project_id=P3, user_id=U32, schedule="{}")
        self.by_hand("sessions", id="hand-session-deleted-null", created_at="2019-03-02 00:00:00", **row)
        self.by_hand("sessions", id="hand-session-created-null", deleted=False, job="{}", **row)

    def run_session(self, *jobs):
        """Lets the jobs of the session report. The state of each job is in the column `job` of the session."""
        for tag, job in enumerate(jobs, 1):
            jobs_patch = {job: {"client_id": "web-1", "status": "completed", "result": "success",
                                "time_started": 1551407460, "time_ended": 1551407520 + tag}}
            self.store("update_session", user_id=U32, project_id=P1, session_id=self.member_of,
                       patch_doc={"jobs": jobs_patch, "session_tag": tag, "status": "completed",
                                  "result": "success", "time_start": 1551407400, "time_end": 1551407580,
                                  "time_started": 1551407460, "time_ended": 1551407520})

    # jobs

    def job(self, project, user, client, actions, register=True, **more):
        """Posts a job like the resource: first its new actions, then the job."""
        doc = {"client_id": client, "job_actions": actions,
               "job_schedule": {"schedule_interval": "5 minutes"}, **more}
        if register and actions and self.release < (19,):
            from freezer_api.api.v2.jobs import JobsCollectionResource

            self.clock.tick()
            JobsCollectionResource(self.api).update_actions_in_job(project, user, doc)
        return self.store("add_job", user_id=user, project_id=project, doc=doc)

    def existing(self, action_id, project=P1, user=U32):
        """Returns an action as a client receives it, for use in a job. The API returns nulls that it does not accept."""
        if self.release >= (19,):
            return {"action_id": action_id}
        entry = self.api.get_action(user_id=user, project_id=project, action_id=action_id)
        entry["freezer_action"] = {k: v for k, v in entry["freezer_action"].items() if v is not None}
        return entry

    def jobs(self):
        two = [{"freezer_action": {"action": "backup", "mode": "mysql", "backup_name": name, self.path: "/srv/ü",
                                   "container": "c"}, "max_retries": 2, "max_retries_interval": 5, "mandatory": True}
               for name in ("first", self.text("second"))]
        self.session_job = self.job(P1, U32, "web-1", two, description=self.text("job"), session_id=self.member_of,
                                    session_tag=1, job_schedule=dict(SCHEDULE))
        again = self.job(P1, U32, "web-1", [self.existing(self.full), self.existing(self.least)],
                         description="actions of others", session_id=self.member_of, session_tag=1)
        self.run_session(self.session_job, again)
        session = {"session_id": self.member_of} if self.models else {}
        self.job(P1, U32, "web-1", [], description="no actions", **session)
        gone = self.job(P1, U32, "web-1", [{"freezer_action": {"action": "info"}}], description="deleted", **session)
        self.store("delete_job", user_id=U32, project_id=P1, job_id=gone)
        self.job(P2, U36, NAME_255, [{"freezer_action": {"action": "backup", "mode": "fs"}}],
                 description="user id of 36", **session)
        unknown = self.job(P2, U32, "back-1", [], description="client unknown", **session)
        self.execute("UPDATE jobs SET client_id = 'never-registered' WHERE id = :id", id=unknown)
        row = dict(project_id=P3, user_id=U32, client_id=f"{P3}_db-1")
        row["session_id"] = self.member_of if self.models else None
        self.by_hand("jobs", id="hand-job-deleted-null", schedule="{}", created_at="2019-03-02 00:00:00", **row)
        self.by_hand("jobs", id="hand-job-created-null", schedule="", deleted=False, **row)
        if self.release < (19,):
            self.documents()
        else:
            self.links(session)

    def documents(self):
        """Writes jobs with the values of `job_actions` before 19.0.0."""
        def job(description, value, client="web-1"):
            job_id = self.job(P1, U32, client, [], description=description)
            if not isinstance(value, (str, type(None))):
                value = json.dumps(value)
            self.execute("UPDATE jobs SET job_actions = :value WHERE id = :id", value=value, id=job_id)

        # If a client sends no actions, 7.0.0 writes null, and later releases write "".
        empty = None if self.release < (7, 1) else ""
        self.job(P1, U32, "web-1", empty, register=False, description="null or empty string")
        job("not JSON", '[{"action_id": "' + self.full + '", "freezer_action": {"act')
        job("SQL NULL", None)
        job("empty text", "")
        job("an object", {})
        nameless = {"freezer_action": {"backup_name": "no action name"}, "max_retries": 1}
        job("no action name, no id", [nameless, {}, "text", None])
        job("no action name, unknown id", [dict(nameless, action_id=UNKNOWN_NAMELESS)])
        job("gaps, one action twice, other project's, deleted one", [
            self.existing(self.full), nameless, self.existing(self.full), self.existing(self.other, P2, U36),
            {"action_id": self.gone, "freezer_action": {"action": "info"}}])
        job("SQL text with unicode", json.dumps(
            [{"action_id": self.least, "freezer_action": {"action": "exec", "command": self.text("echo")}}],
            ensure_ascii=False))
        if self.creating:
            inline = {"action": "backup", "mode": "fs", "backup_name": "inline", self.path: "/inline",
                      "priority": 1, "timeout": 60, "mandatory": False, "storage": "s3"}
            entry = {"freezer_action": inline, "max_retries": 4, "max_retries_interval": 9}
            job("unknown id", [dict(entry, action_id=UNKNOWN_ACTION)])
            job("the same unknown id", [dict(entry, action_id=UNKNOWN_ACTION), dict(entry, action_id="other-unknown",
                                             user_id=U36, project_id=P1)])
            job("no id", [entry, self.existing(self.least)])
        if self.wide and (8,) <= self.release < (16,):
            job("no id, too long for the columns", [{"freezer_action": {
                "action": "backup", "path_to_backup": "/" + "p" * 299, "priority": "high", "mode": "fs"}}])

    def links(self, session):
        """Writes the rows of job_actions and user_credentials, which exist since 19.0.0."""
        for number, description in enumerate(("with a trust", "with a trust, deleted")):
            job = self.job(P1, U64, "web-1", [{"action_id": self.full}], description=description, **session,
                           user_credentials={"trust_id": f"trust-{number}-" + "0" * 24, "trustor_user_id": U64})
        self.store("delete_job", user_id=U64, project_id=P1, job_id=job)
        stamp = dict(created_at="2019-03-02 00:00:00")
        link = dict(job_id=self.session_job, action_id=self.least)
        self.by_hand("job_actions", id="hand-link-deleted", position=2, deleted=True,
                     deleted_at="2019-03-02 00:05:00", **link, **stamp)
        self.by_hand("job_actions", id="hand-link-deleted-null", position=3, **link, **stamp)
        self.by_hand("job_actions", id="hand-link-position-null", deleted=False, **link)
        credential = dict(trust_id="hand", trustor_user_id=U36)
        self.by_hand("user_credentials", id="hand-credential-deleted-null", job_id=self.session_job, **credential,
                     **stamp)
        self.by_hand("user_credentials", id="hand-credential-job-unknown", job_id="no-such-job", deleted=False,
                     **credential)

    # backups

    def backup(self, project, user, user_name, **more):
        doc = {"hostname": "web-1.example.org", "container": "freezer_backups", "backup_name": "nightly",
               "time_stamp": 1551407460, "curr_backup_level": 0, "job_id": self.session_job, **more}
        name = {} if self.release >= (19,) else {"user_name": user_name}
        return self.store("add_backup", user_id=user, project_id=project, doc=doc, **name)

    def backups(self):
        self.backup(P1, U32, "admin", description="ünïcödé ☕ 💾", os={"a": {"b": [1, 2.5, None, True, "ü"]}})
        files = [f"/srv/data/{number:04}/file.bin" for number in range(self.files)]
        self.backup(P1, U32, "admin", backup_name="large", files=files)
        self.backup(P2, U64, "Jürgen Müller", job_id=None)
        gone = self.backup(P3, U36, "demo")
        self.store("delete_backup", user_id=U36, project_id=P3, backup_id=gone)
        row = dict(project_id=P3, user_id=U32)
        if self.release < (19,):
            # The first layouts allow NULL here.
            row["user_name"] = None if self.release < (16,) else ""
        metadata = json.dumps({"backup_name": self.text("raw")}, ensure_ascii=False)
        self.by_hand("backups", id="hand-backup-deleted-null", backup_metadata=metadata,
                     created_at="2019-03-02 00:00:00", **self.status(), **row)
        self.by_hand("backups", id="hand-backup-created-null", backup_metadata="{}", deleted=False, **self.status(),
                     **row)
        if self.release >= (19,):
            self.backup(P1, U32, "", status="creating", hostname=None)
            self.backup(P1, U32, "", status="error")

    def status(self):
        """Sets a column that has no default in the database."""
        return {"status": "available"} if self.models else {}


def run(api, clock, options):
    """Writes all rows."""
    rows = Seed(api, clock, options)
    rows.clients()
    rows.actions()
    rows.sessions()
    rows.jobs()
    rows.backups()
