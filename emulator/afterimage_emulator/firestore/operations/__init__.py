"""Every operation that clients ask for, whatever wire it came over: rules, locks and transactions included."""
