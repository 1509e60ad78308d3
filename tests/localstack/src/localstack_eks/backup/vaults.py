"""Vaults."""

from localstack.aws.api import RequestContext

from localstack_eks.backup.store import Document, Vault, arn, store
from localstack_eks.serve import error, now


def _vault(context: RequestContext, request: Document) -> Vault:
    name = request["BackupVaultName"]
    vault = store(context).vaults.get(name)
    if vault is None:
        message = f"Backup vault with name {name} does not exist"
        raise error("ResourceNotFoundException", message)
    return vault


def create(context: RequestContext, request: Document) -> Document:
    """Make a vault."""
    name = request["BackupVaultName"]
    if name in store(context).vaults:
        message = "Backup vault with the same name already exists"
        raise error("AlreadyExistsException", message)
    document = {
        "BackupVaultName": name,
        "BackupVaultArn": arn(context, "backup-vault", name),
        "CreationDate": now(),
        "EncryptionKeyArn": request.get("EncryptionKeyArn"),
        "Locked": False,
        "NumberOfRecoveryPoints": 0,
        "VaultState": "AVAILABLE",
        "VaultType": "BACKUP_VAULT",
    }
    store(context).vaults[name] = Vault(document, request.get("BackupVaultTags") or {})
    return document


def describe(context: RequestContext, request: Document) -> Document:
    """Show a vault."""
    return _vault(context, request).document


def list_all(context: RequestContext, request: Document) -> Document:  # noqa: ARG001
    """List the vaults."""
    vaults = store(context).vaults
    return {"BackupVaultList": [vaults[name].document for name in sorted(vaults)]}


def delete(context: RequestContext, request: Document) -> Document:
    """Remove a vault that no plan needs."""
    vault = _vault(context, request)
    del store(context).vaults[vault.document["BackupVaultName"]]
    return {}
