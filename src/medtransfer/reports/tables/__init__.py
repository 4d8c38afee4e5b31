"""Tables as data: each module turns a study reading into one kind of table, without deciding how it looks."""
