"""The tests mirror the package; promises/ and transcripts/ are about the whole."""
