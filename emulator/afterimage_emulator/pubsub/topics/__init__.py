"""Topics and subscriptions as they stand, and what each subscription still has to deliver: no wire in here."""
