"""Mail: messages and reports, the protocols against servers on loopback, and the e-mail connector."""
