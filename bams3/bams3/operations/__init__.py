"""One module for each command, and the modules that these share."""
