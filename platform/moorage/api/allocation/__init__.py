"""What the server gives to Services: addresses and node ports, each taken by an object of its own in the Service's commit.

Nothing here writes or locks: an admission chooses, companions take, and the unique name in the database decides.
Source: KEP-1880.
"""
