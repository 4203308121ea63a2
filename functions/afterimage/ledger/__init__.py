"""The ledger: what AI outputs cost, what cache hits saved, what files weigh; exact whatever the events do."""
