"""Generations: projects that a model writes from a prompt, version by version: what is kept, what it costs."""
