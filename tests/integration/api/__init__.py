"""The API over HTTP, on a real server and a real PostgreSQL."""
