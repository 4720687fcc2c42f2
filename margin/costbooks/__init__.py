"""Price files, how they are read, and how the shipped one is generated."""
