"""python3 -m unittest discover -s tests/images/postgres"""

import json
import unittest

import contract
import on_role_change

GIBIBYTE = 1 << 30


def operator_environment(**changes):
    """What the operator gives to a member, as far as the image reads it."""
    environment = {
        "SCOPE": "orders-db",
        "HOSTNAME": "orders-db-1",
        "POD_IP": "10.244.1.7",
        "POD_NAMESPACE": "orders",
        "PGROOT": "/home/postgres/pgdata/pgroot",
        "PGVERSION": "18",
        "PGUSER_SUPERUSER": "postgres",
        "PGPASSWORD_SUPERUSER": "super-secret",
        "PGUSER_STANDBY": "standby",
        "PGPASSWORD_STANDBY": "standby-secret",
        "KUBERNETES_LABELS": '{"application":"spilo"}',
        "KUBERNETES_SCOPE_LABEL": "cluster-name",
        "KUBERNETES_ROLE_LABEL": "spilo-role",
        "KUBERNETES_USE_CONFIGMAPS": "true",
        "DCS_ENABLE_KUBERNETES_API": "true",
        "HUMAN_ROLE": "zalandos",
        "SPILO_CONFIGURATION": "",
    }
    environment.update(changes)
    return environment


def configure(spilo=None, **changes):
    if spilo is not None:
        changes["SPILO_CONFIGURATION"] = json.dumps(spilo)
    return contract.configuration(operator_environment(**changes), "18", GIBIBYTE)


class Configuration(unittest.TestCase):
    def test_identity_comes_from_the_pod(self):
        settings, remarks = configure()
        self.assertEqual(remarks, [])
        self.assertEqual((settings["scope"], settings["name"]), ("orders-db", "orders-db-1"))
        self.assertEqual(settings["restapi"]["connect_address"], "10.244.1.7:8008")
        self.assertEqual(settings["postgresql"]["connect_address"], "10.244.1.7:5432")
        self.assertEqual(settings["postgresql"]["data_dir"], "/home/postgres/pgdata/pgroot/data")
        self.assertEqual(settings["postgresql"]["bin_dir"], "/usr/lib/postgresql/18/bin")

    def test_the_leader_is_labelled_as_the_operator_looks_for_it(self):
        kubernetes = configure()[0]["kubernetes"]
        self.assertEqual(kubernetes["leader_label_value"], "master")
        self.assertEqual(kubernetes["standby_leader_label_value"], "master")
        self.assertEqual(kubernetes["labels"], {"application": "spilo"})

    def test_config_maps_need_the_callback_and_no_ports(self):
        settings, _ = configure()
        self.assertFalse(settings["kubernetes"]["use_endpoints"])
        self.assertNotIn("ports", settings["kubernetes"])
        self.assertIn("on_role_change", settings["postgresql"]["callbacks"])

    def test_endpoints_need_ports_and_no_callback(self):
        settings, _ = configure(KUBERNETES_USE_CONFIGMAPS="")
        self.assertTrue(settings["kubernetes"]["use_endpoints"])
        self.assertEqual(settings["kubernetes"]["ports"], [{"port": 5432, "name": "postgresql"}])
        self.assertNotIn("callbacks", settings["postgresql"])

    def test_the_server_speaks_tls_and_logs_no_statement(self):
        parameters = configure()[0]["postgresql"]["parameters"]
        self.assertEqual(parameters["ssl"], "on")
        self.assertEqual(parameters["ssl_key_file"], "/run/postgresql/certs/server.key")
        self.assertEqual(parameters["log_statement"], "none")
        self.assertEqual(parameters["shared_buffers"], "204MB")

    def test_a_certificate_of_the_manifest_is_served(self):
        parameters = configure(
            SSL_CERTIFICATE_FILE="/tls/tls.crt", SSL_PRIVATE_KEY_FILE="/tls/tls.key", SSL_CA_FILE="/tls/ca.crt"
        )[0]["postgresql"]["parameters"]
        self.assertEqual(parameters["ssl_cert_file"], "/tls/tls.crt")
        self.assertEqual(parameters["ssl_ca_file"], "/tls/ca.crt")

    def test_the_manifest_wins_over_the_defaults(self):
        settings, _ = configure(
            {
                "postgresql": {"parameters": {"shared_buffers": "64MB", "log_min_duration_statement": "500"}},
                "bootstrap": {"dcs": {"ttl": 20, "postgresql": {"parameters": {"max_connections": "60"}}}},
            }
        )
        self.assertEqual(settings["postgresql"]["parameters"]["shared_buffers"], "64MB")
        self.assertEqual(settings["postgresql"]["parameters"]["ssl"], "on")
        self.assertEqual(settings["bootstrap"]["dcs"]["ttl"], 20)
        self.assertEqual(settings["bootstrap"]["dcs"]["loop_wait"], 10)
        dynamic = settings["bootstrap"]["dcs"]["postgresql"]["parameters"]
        self.assertEqual((dynamic["max_connections"], dynamic["hot_standby"]), ("60", "on"))

    def test_dynamic_parameters_are_always_there(self):
        self.assertTrue(configure({})[0]["bootstrap"]["dcs"]["postgresql"]["parameters"])

    def test_host_rules_of_the_manifest_replace_ours(self):
        rules = ["local all all trust", "hostssl all all all scram-sha-256"]
        self.assertEqual(configure({"postgresql": {"pg_hba": rules}})[0]["postgresql"]["pg_hba"], rules)

    def test_programs_are_always_those_of_the_image(self):
        settings, _ = configure({"postgresql": {"bin_dir": "/usr/lib/postgresql/17/bin"}})
        self.assertEqual(settings["postgresql"]["bin_dir"], "/usr/lib/postgresql/18/bin")

    def test_initdb_options_of_the_manifest_come_first(self):
        settings, _ = configure({"bootstrap": {"initdb": [{"auth-host": "md5"}, {"locale": "C"}]}})
        self.assertEqual(
            settings["bootstrap"]["initdb"],
            [{"auth-host": "scram-sha-256"}, {"locale": "C"}, {"encoding": "UTF8"}, "data-checksums"],
        )

    def test_a_locale_that_the_image_lacks_is_replaced_and_said(self):
        settings, remarks = configure({"bootstrap": {"initdb": [{"locale": "en_US.UTF-8"}]}})
        self.assertIn({"locale": "C.UTF-8"}, settings["bootstrap"]["initdb"])
        self.assertEqual(remarks, ["locale en_US.UTF-8 is not in the image: going on with C.UTF-8"])

    def test_another_version_is_said(self):
        settings, remarks = configure(PGVERSION="17")
        self.assertIn("PostgreSQL 17 is asked for", remarks[0])
        self.assertEqual(settings["postgresql"]["bin_dir"], "/usr/lib/postgresql/18/bin")

    def test_a_missing_identity_is_an_error(self):
        environment = operator_environment()
        del environment["SCOPE"]
        with self.assertRaises(KeyError):
            contract.configuration(environment, "18", GIBIBYTE)


class RecordedApi:
    """Answers from literals and keeps what was asked."""

    def __init__(self, leader, masters):
        self.leader, self.masters, self.patched = leader, masters, []

    def call(self, path, method="GET", body=None):
        if method == "PATCH":
            self.patched.append((path, body))
            return {}
        if path.startswith("configmaps/"):
            return {"metadata": {"annotations": {"leader": self.leader}}}
        return {"items": [{"metadata": {"name": name}} for name in self.masters]}


class RoleChange(unittest.TestCase):
    def take_over(self, api):
        return on_role_change.take_over(api, "orders-db", "orders-db-1", "cluster-name", "spilo-role")

    def test_the_new_leader_takes_the_label_off_the_others(self):
        api = RecordedApi("orders-db-1", ["orders-db-0", "orders-db-1"])
        self.assertEqual(self.take_over(api), ["orders-db-0"])
        self.assertEqual(api.patched, [("pods/orders-db-0", {"metadata": {"labels": {"spilo-role": None}}})])

    def test_a_member_that_no_longer_leads_touches_nothing(self):
        api = RecordedApi("orders-db-2", ["orders-db-0", "orders-db-1"])
        self.assertEqual(self.take_over(api), [])
        self.assertEqual(api.patched, [])


if __name__ == "__main__":
    unittest.main()
