"""From text to a tree: tokens, parsers, the tree itself, where in the text each part stands, and printing it again."""
