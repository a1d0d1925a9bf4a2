"""The container of one window's records: streams, row groups, footer, checksums."""
