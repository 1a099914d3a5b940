"""What joins the processes of a live run: channels, sockets for packets, watched processes, hardening."""
