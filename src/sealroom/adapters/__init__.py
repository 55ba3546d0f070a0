"""Effects shared by client, server and command line."""
