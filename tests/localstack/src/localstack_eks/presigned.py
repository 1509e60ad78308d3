"""Requests whose signature is in the query, such as the one inside an EKS token.

LocalStack looks for credentials in a header only.
"""

from typing import Any

from localstack.aws.handlers import auth
from localstack.runtime import hooks
from localstack.utils.patch import patch


def authorization(query: dict[str, str]) -> str | None:
    """Give the header that says what a presigned query says."""
    if not query.get("Action") or not query.get("X-Amz-Credential"):
        return None
    signed = query.get("X-Amz-SignedHeaders", "host")
    signature = query.get("X-Amz-Signature", "")
    return (
        f"AWS4-HMAC-SHA256 Credential={query['X-Amz-Credential']}, "
        f"SignedHeaders={signed}, Signature={signature}"
    )


@hooks.on_infra_start()
def install() -> None:
    """Read the credentials before anything else asks for them."""

    @patch(auth.MissingAuthHeaderInjector.__call__)
    def _call(fn: Any, self: Any, chain: Any, context: Any, response: Any) -> Any:
        headers = context.request.headers
        header = authorization(context.request.args)
        if header and not headers.get("Authorization"):
            headers["Authorization"] = header
        return fn(self, chain, context, response)
