"""Where covered streams go: servers, files, playlists. A process each, and none of them ever holds a raw frame."""
