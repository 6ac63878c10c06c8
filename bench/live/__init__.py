"""Reading a live collection beside other programs, on the same server and the same documents."""
