"""What a node tells those who measure."""
