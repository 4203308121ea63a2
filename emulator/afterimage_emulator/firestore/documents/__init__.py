"""What a database holds: names, values, documents with their past, their indexes, and what one write makes of one."""
