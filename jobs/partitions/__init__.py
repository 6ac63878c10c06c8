"""Partitions of sources: counted here or on a cluster, merged, kept in checkpoints, and added up by day."""
