"""The house itself: the shape of the code, the documents, the list of the brief's rows."""
