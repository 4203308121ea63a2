"""The forms in which a worker is asked: a job of RunPod's queue, or an HTTP request."""
