"""The hub: where tools find the suite's services, and the control API over time, faults and what happened."""
