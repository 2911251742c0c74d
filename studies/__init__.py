"""The application: where strategies, analyzers and feeds meet."""
