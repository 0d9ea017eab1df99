"""What each third party is: facts and typed functions."""
