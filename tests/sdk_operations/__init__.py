"""Every operation of the pinned SDKs, and what shows that it works here or says why it does not."""
