"""The ledger's work by the clock: the rounds of a minute, the audit of a night."""
