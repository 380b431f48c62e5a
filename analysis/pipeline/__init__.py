"""A whole run over a table: read, skip what is done, analyze, record, write. io."""
