"""The HTTP/1.1 server: sockets, requests and answers. Knows nothing of what is asked; `turn.Turn` is the seam."""
