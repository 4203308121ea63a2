"""The wires that clients speak: each turns what it reads into requests of the operations, and words their answers."""
