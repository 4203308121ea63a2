"""Policies and access lists: kept and told. Nobody here is refused by them."""
