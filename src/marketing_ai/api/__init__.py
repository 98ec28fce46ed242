"""The assistant over HTTP: typed requests, keys with scopes and row policies, and an audit log."""
