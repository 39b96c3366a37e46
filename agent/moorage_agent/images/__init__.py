"""Images: names, pull policies, credentials, pulls that are shared by all who want the same image."""
