"""Buckets and their policies."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import (
    Model,
    StrictProvider,
    UnsupportedPropertyError,
    call,
    default_name,
    document,
    pick,
    tag_list,
    tags,
    truth,
)

RULE = {
    "AbortIncompleteMultipartUpload",
    "ExpirationInDays",
    "ExpiredObjectDeleteMarker",
    "Id",
    "NoncurrentVersionExpiration",
    "Prefix",
    "Status",
}
"""What a rule of a life cycle may say."""


def lifecycle(rule: Model) -> Model:
    """Spell a rule of a life cycle as the service does."""
    if unknown := rule.keys() - RULE:
        names = ", ".join(sorted(unknown))
        raise UnsupportedPropertyError(f"LocalStack does not make life cycles with {names}")
    spelt = pick(rule, "AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration", "Status")
    spelt |= {"ID": rule["Id"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "ExpirationInDays" in rule:
        spelt["Expiration"] = {"Days": rule["ExpirationInDays"]}
    if "ExpiredObjectDeleteMarker" in rule:
        spelt["Expiration"] = pick(rule, "ExpiredObjectDeleteMarker")
    return spelt


def replication(rule: Model) -> Model:
    """Spell a rule of a replication as the service does."""
    return {("ID" if key == "Id" else key): value for key, value in rule.items()}


class Bucket(StrictProvider):
    """A bucket."""

    type_name = "AWS::S3::Bucket"
    identifier = "BucketName"
    properties = frozenset(
        {
            "BucketEncryption",
            "BucketName",
            "LifecycleConfiguration",
            "MetricsConfigurations",
            "ObjectLockConfiguration",
            "ObjectLockEnabled",
            "OwnershipControls",
            "PublicAccessBlockConfiguration",
            "ReplicationConfiguration",
            "Tags",
            "VersioningConfiguration",
        }
    )

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        name = model.setdefault("BucketName", default_name(request, 63).lower())
        arguments = {"ObjectLockEnabledForBucket": truth(model.get("ObjectLockEnabled"))}
        if request.region_name != "us-east-1":
            place = {"LocationConstraint": request.region_name}
            arguments["CreateBucketConfiguration"] = place
        aws.s3.create_bucket(Bucket=name, **arguments)
        domain = f"{name}.s3.{request.region_name}.amazonaws.com"
        model.update(
            Arn=f"arn:aws:s3:::{name}",
            DomainName=f"{name}.s3.amazonaws.com",
            RegionalDomainName=domain,
        )
        self._settle(aws, model, {}, request)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        if truth(model.get("ObjectLockEnabled")) != truth(before.get("ObjectLockEnabled")):
            raise NotImplementedError(
                f"LocalStack cannot change ObjectLockEnabled of {self.type_name}"
            )
        self._settle(aws, model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.s3.delete_bucket(Bucket=model["BucketName"])

    def _settle(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        self._protect(aws, model, before)
        self._keep(aws, model, before)
        listed = tag_list(tags(model, request))
        aws.s3.put_bucket_tagging(Bucket=model["BucketName"], Tagging={"TagSet": listed})

    def _protect(self, aws: Any, model: Model, before: Model) -> None:
        """Say who reaches the bucket, and how its objects are encrypted."""
        bucket = {"Bucket": model["BucketName"]}
        ownership = pick(model, "OwnershipControls")
        if ownership:
            call(aws.s3, "put_bucket_ownership_controls", **bucket, **ownership)
        elif before.get("OwnershipControls"):
            aws.s3.delete_bucket_ownership_controls(**bucket)
        block = pick(model, "PublicAccessBlockConfiguration")
        if block:
            call(aws.s3, "put_public_access_block", **bucket, **block)
        elif before.get("PublicAccessBlockConfiguration"):
            aws.s3.delete_public_access_block(**bucket)
        if "BucketEncryption" in model:
            rules = [
                {
                    "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
                    **pick(rule, "BucketKeyEnabled"),
                }
                for rule in model["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            ]
            encryption = {"ServerSideEncryptionConfiguration": {"Rules": rules}}
            call(aws.s3, "put_bucket_encryption", **bucket, **encryption)
        elif before.get("BucketEncryption"):
            aws.s3.delete_bucket_encryption(**bucket)

    def _keep(self, aws: Any, model: Model, before: Model) -> None:
        """Say how long objects stay, and where else."""
        bucket = {"Bucket": model["BucketName"]}
        if versioning := pick(model, "VersioningConfiguration"):
            call(aws.s3, "put_bucket_versioning", **bucket, **versioning)
        if lock := pick(model, "ObjectLockConfiguration"):
            call(aws.s3, "put_object_lock_configuration", **bucket, **lock)
        if "LifecycleConfiguration" in model:
            rules = [lifecycle(rule) for rule in model["LifecycleConfiguration"]["Rules"]]
            cycle = {"LifecycleConfiguration": {"Rules": rules}}
            call(aws.s3, "put_bucket_lifecycle_configuration", **bucket, **cycle)
        elif before.get("LifecycleConfiguration"):
            aws.s3.delete_bucket_lifecycle(**bucket)
        if "ReplicationConfiguration" in model:
            wanted = model["ReplicationConfiguration"]
            rules = [replication(rule) for rule in wanted["Rules"]]
            copies = {"ReplicationConfiguration": {"Role": wanted["Role"], "Rules": rules}}
            call(aws.s3, "put_bucket_replication", **bucket, **copies)
        elif before.get("ReplicationConfiguration"):
            aws.s3.delete_bucket_replication(**bucket)
        metrics = {one["Id"]: one for one in model.get("MetricsConfigurations") or []}
        for old in before.get("MetricsConfigurations") or []:
            if old["Id"] not in metrics:
                aws.s3.delete_bucket_metrics_configuration(**bucket, Id=old["Id"])
        for name, one in metrics.items():
            aws.s3.put_bucket_metrics_configuration(**bucket, Id=name, MetricsConfiguration=one)


class BucketPolicy(StrictProvider):
    """Who may do what to a bucket."""

    type_name = "AWS::S3::BucketPolicy"
    identifier = "Bucket"
    properties = frozenset({"Bucket", "PolicyDocument"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        policy = document(model["PolicyDocument"])
        aws.s3.put_bucket_policy(Bucket=model["Bucket"], Policy=policy)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        self.add(aws, model, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.s3.delete_bucket_policy(Bucket=model["Bucket"])
