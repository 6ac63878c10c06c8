"""Partitions of sources: counted locally or on a cluster, merged, stored in checkpoints, and summed by day."""
