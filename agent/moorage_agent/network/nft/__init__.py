"""nftables over netlink: rules are built as bytes and loaded in one atomic batch. Nothing here knows what the rules are for.

Source: linux/netfilter/nf_tables.h, nfnetlink.h.
"""
