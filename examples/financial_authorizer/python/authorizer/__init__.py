"""A Lambda authorizer that knows which cell a customer lives in."""
