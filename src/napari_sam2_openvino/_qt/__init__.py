"""What the user sees: widgets, worker threads, keys. Nothing else imports from here."""
