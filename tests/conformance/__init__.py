"""The official SDKs' own system tests against the suite; each that does not pass has its reason on record."""
