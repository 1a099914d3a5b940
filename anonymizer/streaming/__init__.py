"""The live filter: cameras in, the same streams out with everything covered; supervisor.py first, then window.py and sealer.py."""
