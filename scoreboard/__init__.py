"""How our presets stand beside other detectors: measured, kept as JSON in docs/quality/, and written out in docs/quality.md.

A maker's tool: it is no part of the package and needs the extra `dev`; the plate peers also a Python with torch, once.
`python -m scoreboard --help` says how.
"""
