"""Smart HTTP (gitprotocol-http) over ASGI: who asks, for which repository, and the streams between client and Git."""
