"""Images and labels as files."""
