"""The data stack, read back through S3, ECR, AWS Backup and KMS."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stacks import Result, Stacks, template

NAME = "orders-kept-data"
WHO = {"Project": "orders", "Environment": "kept"}

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def data(aws: Clients, stacks: Stacks) -> Iterator[Result]:
    result = stacks.deploy(NAME, template("data"), **WHO)
    assert (result.status, result.reasons) == ("CREATE_COMPLETE", [])
    yield result
    assert stacks.delete(NAME) == "DELETE_COMPLETE"
    what_holds_data_stays(aws, result)


def what_holds_data_stays(aws: Clients, data: Result) -> None:
    aws("s3").head_bucket(Bucket=data.outputs["WalBucketName"])
    assert repository(aws, data)
    assert vault(aws, data)
    key = aws("kms").describe_key(KeyId=data.outputs["DataKeyArn"])["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    assert aws("backup").list_backup_plans()["BackupPlansList"] == []


def repository(aws: Clients, data: Result) -> dict[str, Any]:
    name = data.outputs["ImageRepositoryArn"].split("repository/")[1]
    return aws("ecr").describe_repositories(repositoryNames=[name])["repositories"][0]


def vault(aws: Clients, data: Result) -> dict[str, Any]:
    return aws("backup").describe_backup_vault(BackupVaultName=data.outputs["BackupVaultName"])


def test_every_resource_has_an_identifier(stacks: Stacks, data: Result) -> None:
    resources = stacks.resources(NAME)
    assert len(resources) == len(data.changes) == 9
    for resource in resources.values():
        assert resource["PhysicalResourceId"] not in ("", "unknown")


def test_backups_are_versioned_locked_and_encrypted(aws: Clients, data: Result) -> None:
    s3, bucket = aws("s3"), {"Bucket": data.outputs["WalBucketName"]}
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    lock = s3.get_object_lock_configuration(**bucket)["ObjectLockConfiguration"]
    assert lock == {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 7}},
    }
    (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": data.outputs["DataKeyArn"],
    }
    assert rule["BucketKeyEnabled"] is True
    block = s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]
    assert len(block) == 4
    assert all(block.values())
    rules = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    cycle = {rule["ID"]: rule for rule in rules}
    assert cycle["deleted"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 35}
    assert cycle["unfinished"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert not any("Days" in rule.get("Expiration", {}) for rule in rules)
    (metrics,) = s3.list_bucket_metrics_configurations(**bucket)["MetricsConfigurationList"]
    assert metrics["Id"] == "all"
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(**bucket)["TagSet"]}
    assert tags == {"Name": "orders-kept-wal", "Project": "orders"}


def test_an_object_stays_for_as_long_as_it_is_locked(aws: Clients, data: Result) -> None:
    s3, bucket = aws("s3"), {"Bucket": data.outputs["WalBucketName"]}
    version = s3.put_object(**bucket, Key="wal/1", Body=b"wal")["VersionId"]
    s3.delete_object(**bucket, Key="wal/1")
    with pytest.raises(ClientError, match="object protected by object lock"):
        s3.delete_object(**bucket, Key="wal/1", VersionId=version)
    assert s3.get_object(**bucket, Key="wal/1", VersionId=version)["Body"].read() == b"wal"


def test_the_bucket_refuses_what_is_not_encrypted_on_the_way_and_at_rest(
    aws: Clients, data: Result
) -> None:
    policy = aws("s3").get_bucket_policy(Bucket=data.outputs["WalBucketName"])["Policy"]
    statements = {one["Sid"]: one for one in json.loads(policy)["Statement"]}
    assert {one["Effect"] for one in statements.values()} == {"Deny"}
    everything = [data.outputs["WalBucketArn"], data.outputs["WalBucketArn"] + "/*"]
    assert statements["OnlyByTls"]["Resource"] == everything
    assert statements["OnlyByTls"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    key = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    condition = statements["OnlyByThisKey"]["Condition"]["StringNotEqualsIfExists"]
    assert condition == {key: data.outputs["DataKeyArn"]}


def test_a_tag_of_an_image_never_moves(aws: Clients, data: Result) -> None:
    found = repository(aws, data)
    assert found["repositoryUri"] == data.outputs["ImageRepositoryUri"]
    assert found["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    assert found["encryptionConfiguration"]["kmsKey"] == data.outputs["DataKeyArn"]
    ecr, name = aws("ecr"), {"repositoryName": found["repositoryName"]}
    text = ecr.get_lifecycle_policy(**name)["lifecyclePolicyText"]
    (rule,) = json.loads(text)["rules"]
    assert rule["selection"] == {
        "tagStatus": "any",
        "countType": "imageCountMoreThan",
        "countNumber": 500,
    }

    def push(tag: str, content: int) -> None:
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": f"sha256:{content:064}", "size": 1},
            "layers": [],
        }
        ecr.put_image(**name, imageManifest=json.dumps(manifest), imageTag=tag)

    push("v1", 1)
    push("cache", 1)
    push("cache", 2)
    with pytest.raises(ClientError, match="ImageAlreadyExists"):
        push("v1", 2)


def test_volumes_are_backed_up_every_day_by_their_tags(aws: Clients, data: Result) -> None:
    backup = aws("backup")
    assert vault(aws, data)["EncryptionKeyArn"] == data.outputs["DataKeyArn"]
    assert vault(aws, data)["BackupVaultName"].startswith("orders-kept-")
    plan = backup.get_backup_plan(BackupPlanId=data.outputs["BackupPlanId"])["BackupPlan"]
    (rule,) = plan["Rules"]
    assert rule["TargetBackupVaultName"] == data.outputs["BackupVaultName"]
    assert rule["ScheduleExpression"] == "cron(0 3 * * ? *)"
    assert rule["Lifecycle"] == {"DeleteAfterDays": 35}
    assert "CopyActions" not in rule
    of_plan = {"BackupPlanId": data.outputs["BackupPlanId"]}
    (listed,) = backup.list_backup_selections(**of_plan)["BackupSelectionsList"]
    found = backup.get_backup_selection(**of_plan, SelectionId=listed["SelectionId"])
    selection = found["BackupSelection"]
    assert selection["Resources"] == ["arn:aws:ec2:*:*:volume/*"]
    conditions = selection["Conditions"]["StringEquals"]
    wanted = {one["ConditionKey"]: one["ConditionValue"] for one in conditions}
    assert wanted == {
        "aws:ResourceTag/Backup": "daily",
        "aws:ResourceTag/Environment": "kept",
        "aws:ResourceTag/Project": "orders",
    }
    role = data.outputs["BackupRoleArn"]
    assert selection["IamRoleArn"] == role
    attached = aws("iam").list_attached_role_policies(RoleName=role.rsplit("/", 1)[1])
    assert len(attached["AttachedPolicies"]) == 2
    tags = backup.list_tags(ResourceArn=data.outputs["BackupVaultArn"])["Tags"]
    assert tags == {"Name": "orders-kept", "Project": "orders"}


@pytest.mark.usefixtures("data")
def test_nothing_changes_when_nothing_has_changed(stacks: Stacks) -> None:
    change_set = stacks.propose(NAME, template("data"), **WHO)
    assert change_set["Status"] == "FAILED"
    assert "didn't contain changes" in change_set["StatusReason"]


def test_copies_go_to_another_place_when_one_is_named(
    aws: Clients, stacks: Stacks, data: Result
) -> None:
    s3 = aws("s3")
    place = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="orders-replica", CreateBucketConfiguration=place)
    versioned = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket="orders-replica", VersioningConfiguration=versioned)
    key = "arn:aws:kms:eu-west-1:111111111111:key/00000000-0000-0000-0000-000000000000"
    copy = "arn:aws:backup:eu-central-1:111111111111:backup-vault:copies"
    changed = stacks.deploy(
        NAME,
        template("data"),
        **WHO,
        BackupRetentionDays="60",
        BackupCopyVaultArn=copy,
        ReplicaBucketArn="arn:aws:s3:::orders-replica",
        ReplicaKeyArn=key,
    )
    assert (changed.status, changed.reasons) == ("UPDATE_COMPLETE", [])
    kinds = {change["LogicalResourceId"]: change["Action"] for change in changed.changes}
    assert kinds["ReplicationRole"] == kinds["ReplicationPolicy"] == "Add"
    assert changed.outputs["WalBucketName"] == data.outputs["WalBucketName"]
    plan = {"BackupPlanId": changed.outputs["BackupPlanId"]}
    (rule,) = aws("backup").get_backup_plan(**plan)["BackupPlan"]["Rules"]
    assert rule["CopyActions"][0]["DestinationBackupVaultArn"] == copy
    assert rule["Lifecycle"] == {"DeleteAfterDays": 60}
    bucket = {"Bucket": data.outputs["WalBucketName"]}
    replication = s3.get_bucket_replication(**bucket)["ReplicationConfiguration"]
    (copies,) = replication["Rules"]
    assert copies["Destination"]["EncryptionConfiguration"] == {"ReplicaKmsKeyID": key}
    role = {"RoleName": replication["Role"].rsplit("/", 1)[1]}
    policy = aws("iam").get_role_policy(**role, PolicyName="copy-backups")["PolicyDocument"]
    assert policy["Statement"][2]["Resource"] == "arn:aws:s3:::orders-replica/*"

    back = stacks.deploy(NAME, template("data"), **WHO)
    assert (back.status, back.reasons) == ("UPDATE_COMPLETE", [])
    with pytest.raises(ClientError, match="ReplicationConfigurationNotFound"):
        s3.get_bucket_replication(**bucket)


def test_what_a_failed_creation_made_does_not_stay(aws: Clients, stacks: Stacks) -> None:
    fails = template("data").replace("policy/service-role/", "policy/no-such/")
    before = {bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]}
    result = stacks.deploy("orders-lost-data", fails, Project="orders", Environment="lost")
    assert result.status == "ROLLBACK_COMPLETE"
    assert {bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]} == before
    names = [
        one["BackupVaultName"] for one in aws("backup").list_backup_vaults()["BackupVaultList"]
    ]
    assert not [name for name in names if name.startswith("orders-lost-")]
    assert stacks.delete("orders-lost-data") == "DELETE_COMPLETE"
