"""The parts of the extension that need no LocalStack to run."""

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import yaml
from localstack.services.cloudformation.resource_provider import OperationStatus

from localstack_eks import presigned, resources
from localstack_eks.__main__ import settings
from localstack_eks.eks import api_server
from localstack_eks.provider import (
    PROVIDERS,
    StrictProvider,
    UnsupportedPropertyError,
    camel,
    default_name,
    gone,
    tags,
    truth,
    typed,
)
from localstack_eks.schemas import schema
from stacks import TEMPLATES, template


def request(**values: Any) -> Any:
    defaults = {
        "stack_name": "orders-test-network",
        "logical_resource_id": "Vpc",
        "custom_context": {},
        "desired_state": {},
        "previous_state": None,
        "aws_client_factory": None,
    }
    return SimpleNamespace(**{**defaults, **values})


class Logged(StrictProvider):
    """Remembers what it was asked to do."""

    type_name = "AWS::EC2::EIP"
    identifier = "PublicIp"
    properties = frozenset({"Domain", "Tags"})

    def change(self, aws: Any, model: Any, before: Any, request: Any) -> None:  # noqa: ARG002
        self.model = dict(model)


PROVIDERS["AWS::EC2::EIP"] = resources.addresses.Address


def read(name: str) -> dict[str, Any]:
    class Loader(yaml.SafeLoader):
        """Reads templates: what a tag stands for is of no interest here."""

    Loader.add_multi_constructor("!", lambda *_: None)
    return yaml.load(template(name), Loader)  # noqa: S506


def types(name: str) -> set[str]:
    return {resource["Type"] for resource in read(name)["Resources"].values()}


def test_the_outputs_of_the_network_are_the_parameters_of_the_cluster() -> None:
    wanted = {
        name for name, facts in read("cluster")["Parameters"].items() if "Default" not in facts
    }
    assert wanted - {"Project", "Environment"} == {"ApplicationSubnetIds"}
    assert "ApplicationSubnetIds" in read("network")["Outputs"]


def test_every_type_of_the_stacks_has_a_provider_and_no_other_has() -> None:
    layers = [file.stem for file in TEMPLATES.glob("*.yaml")]
    assert PROVIDERS.keys() == set().union(*map(types, layers))


def test_a_call_has_values_of_the_types_that_it_takes() -> None:
    client = boto3.client("backup", "eu-west-1")
    shape = client.meta.service_model.operation_model("CreateBackupPlan").input_shape
    rule = {"RuleName": "daily", "TargetBackupVaultName": "v", "StartWindowMinutes": "60"}
    plan = {"BackupPlanName": "p", "Rules": [rule]}
    made = typed(shape, {"BackupPlan": plan, "BackupPlanTags": {"Name": 1}})
    assert made["BackupPlan"]["Rules"][0]["StartWindowMinutes"] == 60
    assert made["BackupPlanTags"] == {"Name": "1"}
    with pytest.raises(UnsupportedPropertyError, match="Colour"):
        typed(shape, {"BackupPlan": plan | {"Colour": "red"}})


def test_a_schema_says_what_replaces_a_resource() -> None:
    assert "/properties/CidrBlock" in schema("AWS::EC2::VPC")["createOnlyProperties"]
    with pytest.raises(LookupError, match="AWS::No::Such"):
        schema("AWS::No::Such")


def test_a_provider_with_a_property_that_its_type_lacks_is_no_provider() -> None:
    with pytest.raises(TypeError, match="Colour"):
        type(
            "Wrong",
            (StrictProvider,),
            {
                "type_name": "AWS::EC2::VPC",
                "identifier": "VpcId",
                "properties": frozenset({"Colour"}),
            },
        )


def test_a_property_that_would_be_ignored_is_refused() -> None:
    with pytest.raises(UnsupportedPropertyError, match="InstanceId"):
        Logged().create(request(desired_state={"InstanceId": "i-1"}))


def test_an_update_keeps_what_the_service_gave_and_drops_what_the_template_dropped() -> None:
    provider = Logged()
    before = {"PublicIp": "192.0.2.1", "AllocationId": "eipalloc-1", "Tags": [], "Domain": "vpc"}
    event = provider.update(request(previous_state=before, desired_state={"Domain": "vpc"}))
    assert event.status == OperationStatus.SUCCESS
    assert provider.model == {
        "PublicIp": "192.0.2.1",
        "AllocationId": "eipalloc-1",
        "Domain": "vpc",
    }


def test_a_resource_has_its_stacks_tags_and_its_own_come_first() -> None:
    context = {"stack_tags": {"Project": "orders", "Tier": "none"}}
    model = {"Tags": [{"Key": "Tier", "Value": "public"}]}
    assert tags(model, request(custom_context=context)) == {"Project": "orders", "Tier": "public"}
    assert gone(model, {"Tags": [{"Key": "Name", "Value": "a"}]}) == ["Tier"]


def test_properties_become_arguments() -> None:
    properties = {"EnabledTypes": [{"Type": "api"}], "EndpointPublicAccess": "true"}
    assert camel(properties) == {"enabledTypes": [{"type": "api"}], "endpointPublicAccess": True}
    assert [truth(value) for value in (True, "True", "false", None)] == [True, True, False, False]


def test_a_made_up_name_fits() -> None:
    name = default_name(request(stack_name="s" * 80), 64)
    assert len(name) == 64
    assert name != default_name(request(stack_name="s" * 80), 64)


def test_a_presigned_query_carries_its_credential() -> None:
    query = {"Action": "GetCallerIdentity", "X-Amz-Credential": "AKIA/2026/eu-west-1/sts/aws4"}
    header = presigned.authorization(query)
    assert header is not None
    assert header.startswith("AWS4-HMAC-SHA256 Credential=AKIA/2026/eu-west-1/sts/aws4, ")
    assert presigned.authorization({"Action": "GetCallerIdentity"}) is None


def test_the_settings_leave_nothing_to_the_internet(tmp_path: Path) -> None:
    values = settings(tmp_path, 4566, None)
    assert values["DISABLE_EVENTS"] == values["SKIP_SSL_CERT_DOWNLOAD"] == "1"
    assert "EKS_KUBECONFIG" not in values
    assert settings(tmp_path, 4566, tmp_path)["EKS_KUBECONFIG"] == str(tmp_path)


def write_kubeconfig(file: Path, server: str, **authority: str) -> None:
    config = {
        "current-context": "kind",
        "contexts": [
            {"name": "other", "context": {"cluster": "elsewhere"}},
            {"name": "kind", "context": {"cluster": "here"}},
        ],
        "clusters": [
            {"name": "elsewhere", "cluster": {"server": "https://192.0.2.9"}},
            {"name": "here", "cluster": {"server": server, **authority}},
        ],
    }
    file.write_text(yaml.safe_dump(config))


def test_a_kubeconfig_names_an_api_server(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    write_kubeconfig(
        file, "https://192.0.2.1:6443", **{"certificate-authority-data": "Y2VydGlmaWNhdGU="}
    )
    server = api_server.read(file)
    assert server == api_server.ApiServer("https://192.0.2.1:6443", "Y2VydGlmaWNhdGU=")
    (tmp_path / "ca.crt").write_text("certificate")
    write_kubeconfig(file, "https://192.0.2.1:6443", **{"certificate-authority": "ca.crt"})
    assert api_server.read(file) == server


def test_without_a_kubeconfig_nobody_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(api_server.VARIABLE, raising=False)
    assert api_server.find() is None
    monkeypatch.setenv(api_server.VARIABLE, str(tmp_path / "none"))
    assert api_server.find() is None
    assert base64.b64decode(api_server.nobody()).startswith(b"-----BEGIN CERTIFICATE-----")
