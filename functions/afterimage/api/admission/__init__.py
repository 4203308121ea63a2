"""Before a request is served: who sends it, from which page, how often, and whether it was sent before."""
