"""A package, since only where there is one does pytest end fixtures of that scope with the last test of the folder."""
