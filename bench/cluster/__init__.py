"""What a cluster costs: the same documents counted by its workers and by this process."""
