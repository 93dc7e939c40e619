"""The experiment as a web page, and the server that writes its tables."""
