"""The operators' command line: the platform on this machine, and every plane's RPCs."""
