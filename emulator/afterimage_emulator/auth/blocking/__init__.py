"""Functions that are asked before somebody gets an account or a token: who is asked, what they are told, may change."""
