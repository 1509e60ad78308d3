"""Topics, who may publish to them, and who is told."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import (
    Model,
    StrictProvider,
    default_name,
    document,
    gone,
    pick,
    tag_list,
    tags,
)


class Topic(StrictProvider):
    """A topic."""

    type_name = "AWS::SNS::Topic"
    identifier = "TopicArn"
    plain = ("DisplayName", "KmsMasterKeyId")
    properties = frozenset({"Tags", "TopicName", *plain})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        name = model.setdefault("TopicName", default_name(request, 256))
        listed = tag_list(tags(model, request))
        attributes = pick(model, *self.plain)
        made = aws.sns.create_topic(Name=name, Attributes=attributes, Tags=listed)
        model["TopicArn"] = made["TopicArn"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        topic = pick(model, "TopicArn")
        for key in self.plain:
            if model.get(key) != before.get(key):
                value = model.get(key, "")
                aws.sns.set_topic_attributes(**topic, AttributeName=key, AttributeValue=value)
        arn = {"ResourceArn": model["TopicArn"]}
        if removed := gone(before, model):
            aws.sns.untag_resource(**arn, TagKeys=removed)
        aws.sns.tag_resource(**arn, Tags=tag_list(tags(model, request)))

    def remove(self, aws: Any, model: Model) -> None:
        aws.sns.delete_topic(**pick(model, "TopicArn"))


class TopicPolicy(StrictProvider):
    """Who may publish to topics."""

    type_name = "AWS::SNS::TopicPolicy"
    identifier = "Id"
    properties = frozenset({"PolicyDocument", "Topics"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model["Id"] = default_name(request)
        self._write(aws, model)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        if set(model["Topics"]) != set(before["Topics"]):
            raise NotImplementedError(f"LocalStack cannot change Topics of {self.type_name}")
        self._write(aws, model)

    def remove(self, aws: Any, model: Model) -> None:
        """Leave what a topic has without a policy: its owner may do everything."""
        for topic in model["Topics"]:
            owner = {"AWS": topic.split(":")[4]}
            statement = {"Effect": "Allow", "Principal": owner, "Action": "sns:*"}
            policy = {"Version": "2012-10-17", "Statement": [statement | {"Resource": topic}]}
            self._set(aws, topic, policy)

    def _write(self, aws: Any, model: Model) -> None:
        for topic in model["Topics"]:
            self._set(aws, topic, model["PolicyDocument"])

    def _set(self, aws: Any, topic: str, policy: Any) -> None:
        text = document(policy)
        aws.sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=text)


class Subscription(StrictProvider):
    """Somebody who is told."""

    type_name = "AWS::SNS::Subscription"
    identifier = "Arn"
    properties = frozenset({"Endpoint", "Protocol", "TopicArn"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        arguments = pick(model, "Endpoint", "Protocol", "TopicArn")
        made = aws.sns.subscribe(**arguments, ReturnSubscriptionArn=True)
        model["Arn"] = made["SubscriptionArn"]

    def remove(self, aws: Any, model: Model) -> None:
        aws.sns.unsubscribe(SubscriptionArn=model["Arn"])
