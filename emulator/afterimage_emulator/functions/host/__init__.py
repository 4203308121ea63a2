"""The program that runs inside a codebase's own interpreter: loads the codebase once, then forks its instances.

Nothing here may import the suite: the interpreter may be of another version and know only the codebase's packages.
"""
