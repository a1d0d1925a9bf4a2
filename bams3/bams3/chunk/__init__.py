"""The container for one window's records: streams, row groups, footer, checksums."""
