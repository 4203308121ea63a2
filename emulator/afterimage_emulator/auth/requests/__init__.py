"""Requests of Auth's operations as the operations meet them: types checked, no JSON left."""
