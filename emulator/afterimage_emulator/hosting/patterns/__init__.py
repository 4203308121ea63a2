"""The patterns of firebase.json that say which paths a rule is about."""
