"""What Zalando's postgres-operator 1.15 says to a member through its environment, as a Patroni configuration.

Pure: the environment and the facts of the container enter as arguments, a
configuration and remarks for the log come out. Every variable that is read
here is one that the operator sets for a Spilo container.
"""

import json
import os.path

IMAGE_LOCALES = ("C", "POSIX", "C.UTF-8", "C.utf8")
RUN_DIRECTORY = "/run/postgresql"
MEBIBYTE = 1 << 20


class Member:
    """The identity of this pod, and where its data and programs are."""

    def __init__(self, environment, major):
        self.scope = environment["SCOPE"]
        self.name = environment["HOSTNAME"]
        self.address = environment["POD_IP"]
        self.namespace = value(environment, "POD_NAMESPACE", "default")
        self.root = value(environment, "PGROOT", "/home/postgres/pgdata/pgroot")
        self.data = os.path.join(self.root, "data")
        self.programs = f"/usr/lib/postgresql/{major}/bin"
        self.superuser = value(environment, "PGUSER_SUPERUSER", "postgres")
        self.replication = value(environment, "PGUSER_STANDBY", "standby")


def value(environment, name, default=""):
    """Reads a variable; one that is set to nothing counts as absent."""
    return environment.get(name) or default


def uses_config_maps(environment):
    """Whether Patroni keeps its state in ConfigMaps rather than Endpoints."""
    return value(environment, "KUBERNETES_USE_CONFIGMAPS").lower() == "true"


def certificate_files(environment):
    """The certificate and key to serve; the caller makes them where `spec.tls` names none."""
    certificate = value(environment, "SSL_CERTIFICATE_FILE")
    key = value(environment, "SSL_PRIVATE_KEY_FILE")
    if certificate and key:
        return certificate, key
    return f"{RUN_DIRECTORY}/certs/server.crt", f"{RUN_DIRECTORY}/certs/server.key"


def configuration(environment, major, memory_bytes):
    """The whole of patroni.yml, and the remarks to log about what was asked for and is not given."""
    remarks = []
    asked = value(environment, "PGVERSION", major)
    if asked != major:
        remarks.append(f"PostgreSQL {asked} is asked for, the image holds {major} only: going on with {major}")
    member = Member(environment, major)
    ours = {
        "scope": member.scope,
        "name": member.name,
        "restapi": {"listen": ":8008", "connect_address": f"{member.address}:8008"},
        "kubernetes": kubernetes(environment, member),
        "bootstrap": {"dcs": dynamic(environment), "post_init": "/scripts/post_init.sh"},
        "postgresql": postgresql(environment, member, memory_bytes),
        "watchdog": {"mode": "off"},
    }
    theirs = json.loads(value(environment, "SPILO_CONFIGURATION", "{}")) or {}
    theirs_postgresql = theirs.get("postgresql") or {}
    theirs_postgresql.pop("bin_dir", None)
    if theirs_postgresql.get("pg_hba"):
        # Rules are matched in order: a list from the manifest replaces ours.
        del ours["postgresql"]["pg_hba"]
    initdb = initdb_options((theirs.get("bootstrap") or {}).pop("initdb", []), remarks)
    merged = overlay(theirs, ours)
    merged["bootstrap"]["initdb"] = initdb
    return merged, remarks


def kubernetes(environment, member):
    """Where Patroni keeps its state and how it labels its pods."""
    settings = {
        "namespace": member.namespace,
        "labels": json.loads(value(environment, "KUBERNETES_LABELS", "{}")),
        "scope_label": value(environment, "KUBERNETES_SCOPE_LABEL", "cluster-name"),
        "role_label": value(environment, "KUBERNETES_ROLE_LABEL", "spilo-role"),
        # Patroni 4 says "primary"; the operator's services, disruption budget
        # and look-ups of pods say "master".
        "leader_label_value": value(environment, "KUBERNETES_LEADER_LABEL_VALUE", "master"),
        "standby_leader_label_value": value(environment, "KUBERNETES_STANDBY_LEADER_LABEL_VALUE", "master"),
        "follower_label_value": "replica",
        "pod_ip": member.address,
        "use_endpoints": not uses_config_maps(environment),
    }
    if settings["use_endpoints"]:
        settings["ports"] = [{"port": 5432, "name": "postgresql"}]
    bootstrap_labels = value(environment, "KUBERNETES_BOOTSTRAP_LABELS")
    if bootstrap_labels:
        settings["bootstrap_labels"] = json.loads(bootstrap_labels)
    return settings


def dynamic(environment):
    """The settings that the cluster shares, until the operator changes them through the REST API."""
    return {
        "ttl": 30,
        "loop_wait": 10,
        "retry_timeout": 10,
        "maximum_lag_on_failover": 32 * MEBIBYTE,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            # Must be there: the operator reads it back without checking.
            "parameters": {
                "hot_standby": "on",
                "wal_level": value(environment, "WAL_LEVEL", "replica"),
                "wal_log_hints": "on",
                "max_connections": int(value(environment, "MAX_CONNECTIONS", "100")),
                "max_wal_senders": 10,
                "max_replication_slots": 10,
                "max_worker_processes": 8,
                "max_prepared_transactions": 0,
                "wal_keep_size": "256MB",
                "track_commit_timestamp": "off",
            },
        },
    }


def postgresql(environment, member, memory_bytes):
    """The server of this member."""
    settings = {
        "listen": "*:5432",
        "connect_address": f"{member.address}:5432",
        "bin_dir": member.programs,
        "data_dir": member.data,
        "pgpass": f"{RUN_DIRECTORY}/pgpass",
        "use_unix_socket": True,
        "use_unix_socket_repl": True,
        "authentication": {
            "superuser": {"username": member.superuser, "password": environment["PGPASSWORD_SUPERUSER"]},
            "replication": {"username": member.replication, "password": environment["PGPASSWORD_STANDBY"]},
        },
        "parameters": parameters(environment, memory_bytes),
        "pg_hba": host_rules(member.replication),
        "basebackup": [{"checkpoint": "fast"}],
    }
    if uses_config_maps(environment):
        settings["callbacks"] = {"on_role_change": "/scripts/on_role_change.py"}
    return settings


def parameters(environment, memory_bytes):
    """Settings of the server that the manifest may override."""
    certificate, key = certificate_files(environment)
    settings = {
        "unix_socket_directories": RUN_DIRECTORY,
        "shared_buffers": f"{max(32, memory_bytes // 5 // MEBIBYTE)}MB",
        # The operator connects with sslmode=require, always.
        "ssl": "on",
        "ssl_cert_file": certificate,
        "ssl_key_file": key,
        "password_encryption": "scram-sha-256",
        "shared_preload_libraries": "pg_stat_statements",
        "log_destination": "stderr",
        "logging_collector": "off",
        "log_line_prefix": "%t [%p]: [%l-1] %c %x %d %u %a %h ",
        "log_checkpoints": "on",
        "log_lock_waits": "on",
        # "ddl" would write the password of CREATE ROLE ... PASSWORD to the log.
        "log_statement": "none",
        "tcp_keepalives_idle": 900,
        "tcp_keepalives_interval": 100,
        "checkpoint_completion_target": 0.9,
        "archive_mode": "off",
    }
    authority = value(environment, "SSL_CA_FILE")
    if authority:
        settings["ssl_ca_file"] = authority
    return settings


def host_rules(replication):
    """pg_hba.conf: the socket is trusted, the network needs TLS and a password."""
    return [
        "local all all trust",
        f"local replication {replication} trust",
        "host all all 127.0.0.1/32 md5",
        "host all all ::1/128 md5",
        f"hostssl replication {replication} all md5",
        "hostnossl all all all reject",
        "hostssl all all all md5",
    ]


def initdb_options(theirs, remarks):
    """initdb's options, the manifest's before ours; a locale that the image lacks would make initdb fail."""
    chosen = []
    for option in theirs:
        if isinstance(option, dict) and option.get("locale", "C") not in IMAGE_LOCALES:
            remarks.append(f"locale {option['locale']} is not in the image: going on with C.UTF-8")
            option = {**option, "locale": "C.UTF-8"}
        if option == {"auth-host": "md5"}:
            # The operator's default: the superuser's password would be kept as
            # MD5, which PostgreSQL gives up. Rules that say md5 accept both.
            option = {"auth-host": "scram-sha-256"}
        chosen.append(option)
    names = {option_name(option) for option in chosen}
    defaults = [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"]
    return chosen + [option for option in defaults if option_name(option) not in names]


def option_name(option):
    """initdb's options are either flags or one-entry mappings."""
    return next(iter(option)) if isinstance(option, dict) else option


def overlay(upper, lower):
    """Mappings are merged and the upper value wins; of two lists the upper one comes first."""
    if isinstance(upper, dict) and isinstance(lower, dict):
        keys = [*upper, *(key for key in lower if key not in upper)]
        return {key: overlay(upper.get(key), lower.get(key)) for key in keys}
    if isinstance(upper, list) and isinstance(lower, list):
        return upper + [item for item in lower if item not in upper]
    return lower if upper is None else upper
