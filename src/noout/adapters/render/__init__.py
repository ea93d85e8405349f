"""Reports as files: a standalone HTML page, a PDF, and JSON, all from the same document model."""
