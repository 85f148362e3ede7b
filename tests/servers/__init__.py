"""Real servers for tests: IMAP (pymap, Dovecot), SMTP (aiosmtpd), PostgreSQL, and a wire to watch and cut."""
