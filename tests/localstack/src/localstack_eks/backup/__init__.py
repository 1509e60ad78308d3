"""AWS Backup, which LocalStack's community edition lacks: vaults, plans and selections as records.

No backup is made: what is kept is what was asked for.
"""

from localstack.services.plugins import Service, aws_provider

from localstack_eks.backup import plans, tagging, vaults
from localstack_eks.serve import Operation, serve

OPERATIONS: dict[str, Operation] = {
    "CreateBackupPlan": plans.create,
    "CreateBackupSelection": plans.select,
    "CreateBackupVault": vaults.create,
    "DeleteBackupPlan": plans.delete,
    "DeleteBackupSelection": plans.delete_selection,
    "DeleteBackupVault": vaults.delete,
    "DescribeBackupVault": vaults.describe,
    "GetBackupPlan": plans.get,
    "GetBackupSelection": plans.get_selection,
    "ListBackupPlans": plans.list_all,
    "ListBackupSelections": plans.list_selections,
    "ListBackupVaults": vaults.list_all,
    "ListTags": tagging.list_tags,
    "TagResource": tagging.tag,
    "UntagResource": tagging.untag,
    "UpdateBackupPlan": plans.update,
}
"""What is served; LocalStack answers that anything else is not implemented."""


@aws_provider(api="backup")
def service() -> Service:
    """Build the service."""
    return serve("backup", OPERATIONS)
