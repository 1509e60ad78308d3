"""Resources that are there on a condition: they come and go with it."""

from collections.abc import Callable
from typing import Any

from stacks import Stacks

NAME = "conditions"
TEMPLATE = """
Parameters:
  Wanted: { Type: String }
Conditions:
  IsWanted: !Equals [!Ref Wanted, "yes"]
Resources:
  Always:
    Type: AWS::SNS::Topic
    Properties: { DisplayName: always }
  Sometimes:
    Type: AWS::SNS::Topic
    Condition: IsWanted
    Properties: { DisplayName: sometimes }
"""


def test_a_resource_goes_with_its_condition(aws: Callable[[str], Any], stacks: Stacks) -> None:
    def topics() -> list[str]:
        found = aws("sns").list_topics()["Topics"]
        names = [topic["TopicArn"].rsplit(":", 1)[1].split("-") for topic in found]
        return sorted(name[1] for name in names if name[0] == NAME)

    for wanted, expected in [
        ("no", ["Always"]),
        ("yes", ["Always", "Sometimes"]),
        ("no", ["Always"]),
    ]:
        result = stacks.deploy(NAME, TEMPLATE, Wanted=wanted)
        assert result.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, result.reasons
        assert topics() == expected
    assert stacks.delete(NAME) == "DELETE_COMPLETE"
    assert topics() == []
