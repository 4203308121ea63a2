"""Settings of projects and tenants as JSON: how administrators and exports write them."""
