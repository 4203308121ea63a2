"""The official SDKs' own system tests, run against the suite; every test that does not pass has its reason on record."""
