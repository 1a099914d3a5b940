"""FFmpeg in, FFmpeg out: the only package that imports av."""
