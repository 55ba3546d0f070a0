"""Speed measurements that print ratios, since absolute figures belong to one machine. Run: `make bench`."""
