"""A LocalStack on which the stacks of provision-infra are made for real, or fail."""
