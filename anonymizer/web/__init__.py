"""The page: live pictures, state and figures of every camera, for browsers, players and monitoring."""
