"""What `vouch eval` can run; each suite is cases, what is done with one, and measures of the rows."""
