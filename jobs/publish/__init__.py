"""Publishing: what a run replaces of what is published, what it may remove, and the moment of publication."""
